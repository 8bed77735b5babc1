import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { seatAt, seatIn } from '../../src/control/seat.js'
import { FakeLocks } from './fake-native.js'
import { closed, fetchUnix, useRunDir } from './run-dir.js'

const run = useRunDir()

describe('the seat', () => {
  const roots = () => [run.folder]

  test('is one at a time, and leaves nothing', async () => {
    const taken = new FakeLocks()
    const seat = seatIn(roots(), 7, 'zt0', taken)
    expect(seat?.path).toBe(join(run.folder, '7', 'zt0.sock'))
    expect(() => seatIn(roots(), 7, 'zt0', taken)).toThrow(/belongs to another process/)
    const other = seatIn(roots(), 8, 'zt0', taken)
    const server = createServer()
    await seat?.listen(server)
    expect(readdirSync(join(run.folder, '7')).sort()).toEqual(['zt0.lock', 'zt0.sock'])
    await closed(server)
    seat?.release()
    seat?.release()
    expect(readdirSync(run.folder)).toEqual(['8'])
    other?.release()
    expect(existsSync(run.folder)).toBe(false)
  })

  test('takes over what a killed process left, and sweeps what others left', async () => {
    for (const netns of ['7', '9']) {
      mkdirSync(join(run.folder, netns), { recursive: true })
      for (const file of ['zt0.lock', 'zt0.sock']) writeFileSync(join(run.folder, netns, file), '')
    }
    mkdirSync(join(run.folder, '9', '.zt0.sock.new'))
    mkdirSync(join(run.folder, '7', '.zt0.sock.new'))
    const seat = seatIn(roots(), 7, 'zt0', new FakeLocks())
    const server = createServer((_, response) => response.end())
    await seat?.listen(server)
    expect(readdirSync(run.folder)).toEqual(['7'])
    expect(readdirSync(join(run.folder, '7')).sort()).toEqual(['zt0.lock', 'zt0.sock'])
    expect((await fetchUnix(join(run.folder, '7', 'zt0.sock'), 'GET', '/')).statusCode).toBe(200)
    await closed(server)
    seat?.release()
  })

  test('is looked for in the next root when one cannot be written', () => {
    const seat = seatIn(['/proc/none', run.folder], 7, 'zt0', new FakeLocks())
    expect(seat?.path).toBe(join(run.folder, '7', 'zt0.sock'))
    seat?.release()
    expect(seatIn(['/proc/none'], 7, 'zt0', new FakeLocks())).toBeUndefined()
  })

  test('may be anywhere', () => {
    const taken = new FakeLocks()
    const seat = seatAt(join(run.folder, 'x'), taken)
    expect(() => seatAt(join(run.folder, 'x'), taken)).toThrow(/belongs to another process/)
    seat.release()
  })
})

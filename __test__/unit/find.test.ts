import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { find, findAll } from '../../src/control/find.js'
import { rootsToSearch, rootsToServe } from '../../src/control/place.js'
import { lookFor, running } from '../../src/control/target.js'
import { waitUntilUp } from '../../src/control/wait.js'
import { FakeAddon, FakeTunnel, turn } from './fake-native.js'
import { closed, NETNS, open, useRunDir } from './run-dir.js'

const run = useRunDir()

describe('finding', () => {
  test('what runs here: not what is stale, not what is elsewhere', async () => {
    const tunnel = await open({ bind: 'unix:/x', control: true })
    writeFileSync(run.socketOf('file'), '')
    const stale = createNetServer()
    await new Promise<void>((resolve) => stale.listen(run.socketOf('stale'), resolve))
    // As a killed process leaves it: closing removes the file, so it is kept under another name.
    const all = await findAll(run.env)
    expect(all.map(({ name }) => name)).toContain('zt7')
    stale.close()
    expect(await find('file', run.env)).toBeUndefined()
    expect(await find('none', run.env)).toBeUndefined()
    expect(await find('zt7', run.env)).toMatchObject({ name: 'zt7', status: { state: 'listening' } })
    expect(await lookFor({}, run.env)).toMatchObject({ name: 'zt7' })
    await expect(running({ name: 'none' }, run.env)).rejects.toMatchObject({ code: 'ZP_NOT_RUNNING' })
    await expect(lookFor({ name: 'a', socket: 'b' }, run.env)).rejects.toMatchObject({ code: 'ZP_OPTION' })
    await tunnel.close()
    rmSync(join(run.folder, String(NETNS)), { recursive: true, force: true })
    await expect(running({}, run.env)).rejects.toMatchObject({ code: 'ZP_NOT_RUNNING' })
  })

  test('which one, when several run', async () => {
    const first = await open({ bind: 'unix:/x', control: true })
    const addon = new FakeAddon()
    addon.tunnel = new (class extends FakeTunnel {
      override readonly name = 'zt8' as 'zt7'
    })(null)
    const second = await open({ connect: 'h:1', control: true }, {}, addon)
    await expect(lookFor({}, run.env)).rejects.toThrow('which tunnel? Name one of the 2 that run here: zt7, zt8')
    await first.close()
    await second.close()
  })

  test('something that is no ZPortal is said to be none', async () => {
    mkdirSync(join(run.folder, String(NETNS)))
    const server = createServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => server.listen(run.socketOf('zt9'), resolve))
    expect((await find('zt9', run.env))?.failure?.message).toMatch(/is no ZPortal/)
    server.removeAllListeners('request').on('request', (_, response) => response.end('{"version":2}'))
    expect((await find('zt9', run.env))?.failure?.message).toMatch(/another version: got version 2, this is 1/)
    await closed(server)
  })

  test('roots: the service its own, everybody the common one, users theirs', () => {
    const service = { RUNTIME_DIRECTORY: '/run/other:/run/zportal/lab', XDG_RUNTIME_DIR: '/run/user/9' }
    expect(rootsToServe(service)).toEqual(['/run/zportal/lab', '/run/zportal', '/run/user/9/zportal'])
    expect(rootsToServe({})).toEqual(['/run/zportal'])
    expect(rootsToSearch(service)).toEqual(
      expect.arrayContaining(['/run/zportal', '/run/zportal/lab', '/run/user/9/zportal']),
    )
    expect(rootsToSearch(run.env)).toEqual([run.folder])
  })
})

describe('waiting', () => {
  test('for a tunnel that starts later and comes up later', async () => {
    const addon = new FakeAddon()
    const waiting = waitUntilUp({ name: 'zt7' }, 20_000, run.env)
    const tunnel = await open({ connect: 'h:1', control: true }, {}, addon)
    await turn()
    await addon.tunnel.peerComes()
    expect(await waiting).toMatchObject({ state: 'up', name: 'zt7' })
    await tunnel.close()
  })

  test('in vain: for the time given, with what was last seen', async () => {
    expect(await waitUntilUp({}, 10, run.env)).toBeUndefined()
    const tunnel = await open({ connect: 'h:1', control: true })
    expect(await waitUntilUp({}, 100, run.env)).toMatchObject({ state: 'connecting' })
    await tunnel.close()
  })
})

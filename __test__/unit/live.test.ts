import type { WriteStream } from 'node:tty'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { liveLine } from '../../src/face/live.js'
import { openTunnelWith } from '../../src/open.js'
import { FakeAddon } from './fake-native.js'

const OPTIONS = { bind: '192.0.2.1:7000' }

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A terminal that remembers each write, with ^ for ESC and < for the return to the line's start. */
function terminal(columns: number, colors: boolean): { out: WriteStream; writes: string[] } {
  const writes: string[] = []
  const out = {
    columns,
    hasColors: () => colors,
    write: (text: string) => writes.push(text.replaceAll('\u001b', '^').replace('\r', '<')) > 0,
  }
  return { out: out as unknown as WriteStream, writes }
}

test('repaints twice a second, each time with one write, until it stops', async () => {
  const { out, writes } = terminal(60, false)
  const tunnel = await openTunnelWith(() => new FakeAddon(), OPTIONS)
  const live = liveLine(out, { LANG: 'en_US.UTF-8' })
  live.start(tunnel, OPTIONS)
  expect(writes).toHaveLength(1)
  expect(writes[0]).toMatch(/^<\^\[\?7lzt7 listening 0:00 .*↑ .*\^\[K\^\[\?7h$/)
  vi.advanceTimersByTime(5000)
  expect(writes).toHaveLength(11)
  expect(writes.at(-1)).toContain('zt7 listening 0:05')

  live.stop()
  expect(writes.at(-1)).toBe('<^[?7l^[K^[?7h')
  vi.advanceTimersByTime(5000)
  expect(writes).toHaveLength(12)
  await tunnel.close()
})

test('messages stand above the line', async () => {
  const { out, writes } = terminal(60, false)
  const tunnel = await openTunnelWith(() => new FakeAddon(), OPTIONS)
  const live = liveLine(out, {})
  live.start(tunnel, OPTIONS)
  live.say('info', 'up', { peer: 'unix:/x' })
  expect(writes.at(-1)).toMatch(/^<\d\d:\d\d:\d\d info up peer=unix:\/x\^\[K\n\^\[\?7lzt7 listening/)
  live.stop()
  await tunnel.close()
})

test('follows the width of the terminal and its colours', async () => {
  const { out, writes } = terminal(20, true)
  const tunnel = await openTunnelWith(() => new FakeAddon(), OPTIONS)
  const live = liveLine(out, {})
  live.start(tunnel, OPTIONS)
  expect(writes.at(-1)).toBe('<^[?7lzt7 listening 0:00 ^[K^[?7h')
  out.columns = 200
  vi.advanceTimersByTime(500)
  expect(writes.at(-1)).toContain('^[33mzt7 listening 0:00^[0m  192.0.2.1:7000  tx ')
  live.stop()
  await tunnel.close()
})

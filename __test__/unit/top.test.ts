import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { TunnelStatus } from '../../src/control/status.js'
import type { TopLook, TopView } from '../../src/top/screen.js'
import { topScreen } from '../../src/top/screen.js'
import { sparkline } from '../../src/top/sparkline.js'
import { columnsOf, fit, plain } from '../../src/top/width.js'
import { NO_STATS } from './fake-native.js'

const STATUS: TunnelStatus = {
  version: 1,
  name: 'zt0',
  role: 'client',
  state: 'up',
  since: '2026-01-01T00:00:00.000Z',
  stateMs: 65_000,
  openedAt: '2026-01-01T00:00:00.000Z',
  pid: 42,
  zportal: '1.2.3',
  netns: 1,
  config: null,
  mtu: 1400,
  addresses: ['10.0.0.2/24'],
  local: null,
  connect: 'h:1',
  proxies: [],
  peer: { address: 'h:1', dialMs: 3, speech: 'v1', hops: [] },
  reason: null,
  retryMs: null,
  rates: { txBitsPerSecond: 1.25e9, rxBitsPerSecond: 3000 },
  stats: { ...NO_STATS, txBytes: 2 ** 30, dropsCodel: 12, rttUs: 12_300 },
  history: [{ at: '2026-01-01T00:00:00.000Z', state: 'up', previous: 'connecting', peer: 'h:1' }],
}
const VIEW: TopView = {
  status: STATUS,
  dropsPerSecond: { codel: 3 },
  txBitsPerSecond: [0, 1e9, 1.25e9],
  rxBitsPerSecond: [3000],
  rttUs: [],
  gone: undefined,
}
const LOOK: TopLook = { columns: 80, rows: 24, color: false, unicode: true }

describe('the screen', () => {
  test('tells everything in 80 by 24', () => {
    const lines = topScreen(VIEW, LOOK)
    const text = lines.join('\n')
    expect(lines).toHaveLength(24)
    expect(lines[0]?.trimEnd()).toBe('zt0  client  up 1:05  h:1')
    expect(text).toMatch(/^sent {10}1\.25 Gbit\/s .*▆█ {2}most 1\.25 Gbit\/s *$/m)
    expect(text).toMatch(/^round trip {8}12\.3 ms/m)
    expect(text).toMatch(/^drops {7}codel 12 \(\+3\/s\) *$/m)
    expect(text).toMatch(/^hops {8}none between *$/m)
    expect(text).toMatch(/^ {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}up {10}h:1 *$/m)
    expect(lines.at(-1)?.trimEnd()).toBe('q quits')
  })

  test('in colours is the same text', () => {
    const colored = topScreen(VIEW, { ...LOOK, color: true })
    expect(colored.map(stripVTControlCharacters)).toEqual(topScreen(VIEW, LOOK))
    expect(colored.join('\n')).toContain('\u001b[36m▆█\u001b[0m')
  })

  test.each([
    [80, 24],
    [200, 60],
    [40, 10],
    [10, 3],
    [1, 1],
    [0, 0],
  ])('fills %d by %d exactly, whatever a name contains', (columns, rows) => {
    const history = Array.from({ length: 64 }, () => STATUS.history).flat()
    const status = {
      ...STATUS,
      name: '漢字\u001b[31mé🚀',
      history,
      peer: { address: 'x'.repeat(300), dialMs: 0, speech: 'v1', hops: [] },
    }
    const lines = topScreen({ ...VIEW, status }, { ...LOOK, columns, rows })
    expect(lines).toHaveLength(rows)
    expect(lines.map(columnsOf)).toEqual(Array(rows).fill(columns))
    expect(lines.join('')).not.toContain('\u001b')
  })

  test('says that the tunnel is gone, and why one is not up', () => {
    expect(topScreen({ ...VIEW, gone: 'zt0 does not run any more' }, LOOK).at(-1)).toMatch(
      /^zt0 does not run any more {3}q/,
    )
    const reason = { code: 'ZP_LINK_LOST', message: 'broke' }
    const waiting = topScreen({ ...VIEW, status: { ...STATUS, state: 'waiting', peer: null, reason } }, LOOK)
    expect(waiting[0]).toMatch(/^zt0 {2}client {2}waiting 1:05/)
    expect(waiting[2]?.trimEnd()).toBe('ZP_LINK_LOST: broke')
  })

  test('is coloured only where colour is', () => {
    const coloured = topScreen(VIEW, { ...LOOK, color: true })
    expect(coloured[0]?.startsWith('\u001b[32mzt0 ') && coloured[0].endsWith('\u001b[0m')).toBe(true)
    expect(topScreen(VIEW, { ...LOOK, unicode: false }).join('')).not.toMatch(/[▁-█]/)
  })
})

test('sparklines', () => {
  expect(sparkline([0, 1, 50, 100], 6, true)).toBe('   ▁▄█')
  expect(sparkline([1, 2, 3, 4], 2, true)).toBe('▆█')
  expect(sparkline([0, 0], 2, true)).toBe('  ')
  expect(sparkline([], 3, false)).toBe('   ')
  expect(sparkline([5, 1e12], 2, false)).toBe('.@')
})

test('widths', () => {
  expect(['abc', '漢字', 'é', 'e\u0301', '🚀', ''].map(columnsOf)).toEqual([3, 4, 1, 1, 2, 0])
  expect(fit('漢字', 3)).toBe('漢 ')
  expect(fit('abc', 2)).toBe('ab')
  expect(plain('a\u001b[2Jb\u0085c\n')).toBe('ab?c?')
})

/** The status of a tunnel that never was. */

import type { TunnelStatus } from '../../src/control/status.js'
import { NO_STATS } from './fake-native.js'

export const STATUS: TunnelStatus = {
  version: 1,
  name: 'zt0',
  role: 'client',
  state: 'up',
  since: '2026-01-01T00:00:00.000Z',
  stateMs: 3_723_000,
  openedAt: '2026-01-01T00:00:00.500Z',
  pid: 42,
  zportal: '1.2.3',
  netns: 4026531840,
  config: '/etc/zportal/lab.toml',
  mtu: 1400,
  addresses: ['10.0.0.2/24'],
  local: null,
  connect: 'h:1',
  proxies: ['127.0.0.1:1080'],
  peer: { address: 'h:1 via 127.0.0.1:1080', dialMs: 3, speech: 'v1', hops: [] },
  reason: null,
  retryMs: null,
  rates: { txBitsPerSecond: 1.25e9, rxBitsPerSecond: 3000 },
  stats: { ...NO_STATS, txPackets: 1_250_000, txBytes: 2 ** 30, dropsCodel: 3, dropsDown: 1, dropsOverlimit: 0 },
  history: [],
}

/** The status of tunnels as text for people: pure, aligned, with units. */

import { dropsOf } from '../control/metrics.js'
import type { Change, TunnelStatus } from '../control/status.js'
import { formatBitRate, formatBytes, formatCount, formatElapsed } from './format.js'

/** Changes of state that one status shows. */
const CHANGES_SHOWN = 5

/** One tunnel, a block of lines. */
export function statusText(status: TunnelStatus): string {
  const { name, state, stateMs, role, mtu, addresses, stats, rates } = status
  const rows: [string, string][] = [
    ['peer', peerText(status)],
    ['why', status.reason === null ? '' : `${status.reason.code}: ${status.reason.message}`],
    [
      'retry',
      status.retryMs === null || state !== 'waiting'
        ? ''
        : `in ${formatElapsed(Math.max(0, status.retryMs - stateMs))}`,
    ],
    ['way', wayText(status)],
    ['inside', [...addresses, `mtu ${mtu}`].join('  ')],
    ['sent', trafficText(rates.txBitsPerSecond, stats.txBytes, stats.txPackets)],
    ['received', trafficText(rates.rxBitsPerSecond, stats.rxBytes, stats.rxPackets)],
    ['delay', delayText(stats)],
    ['drops', dropsText(stats)],
    [
      'process',
      [`pid ${status.pid}`, `zportal ${status.zportal}`, ...(status.config === null ? [] : [status.config])].join('  '),
    ],
    ...historyRows(status.history),
  ]
  const lines = rows.filter(([, text]) => text !== '').map(([label, text]) => `  ${label.padEnd(10)}${text}\n`)
  return `${name}  ${role}, ${state} for ${formatElapsed(stateMs)}\n${lines.join('')}`
}

/** Several tunnels, a line each. */
export function statusTable(all: readonly TunnelStatus[]): string {
  const rows = all.map(({ name, role, state, stateMs, peer, local, connect, rates, stats }) => [
    name,
    role,
    state,
    formatElapsed(stateMs),
    formatBitRate(rates.txBitsPerSecond),
    formatBitRate(rates.rxBitsPerSecond),
    formatCount(sum(dropsOf(stats))),
    peer?.address ?? local ?? connect ?? '',
  ])
  return alignedTable([['NAME', 'ROLE', 'STATE', 'FOR', 'SENT', 'RECEIVED', 'DROPS', 'PEER'], ...rows])
}

/** Columns as wide as their widest cell, two spaces apart; nothing behind the last. */
export function alignedTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

function peerText({ peer, state, local, connect }: TunnelStatus): string {
  if (peer !== null) return `${peer.address}  ${peer.speech}`
  return state === 'connecting' || connect !== null ? `none; dials ${connect ?? ''}` : `none; listens at ${local ?? ''}`
}

/** The hops with their times where they are known, or the way as it was asked for; empty when it is direct. */
export function wayText({ proxies, connect, peer }: TunnelStatus): string {
  const { hops } = (peer ?? {}) as { hops?: readonly { address: string; kind: string; ms: number }[] }
  if (hops !== undefined && hops.length > 1) {
    return hops
      .map(({ address, kind, ms }) => `${kind === 'peer' ? '' : `${kind} `}${address} ${milliseconds(ms)}`)
      .join(' → ')
  }
  return proxies.length === 0 ? '' : [...proxies, connect ?? ''].join(' → ')
}

function trafficText(bitsPerSecond: number, bytes: number, packets: number): string {
  return `${formatBitRate(bitsPerSecond).padStart(11)}  ${formatBytes(bytes).padStart(8)}  ${formatCount(packets)} packets`
}

/** What is known of round trips and of waiting; older ends measure neither. */
export function delayText(stats: object): string {
  const us = stats as Readonly<Record<string, number | undefined>>
  const parts: string[] = []
  if ((us['rttUs'] ?? 0) > 0) {
    const least = (us['minRttUs'] ?? 0) > 0 ? ` (least ${formatMicroseconds(us['minRttUs'] ?? 0)})` : ''
    parts.push(`round trip ${formatMicroseconds(us['rttUs'] ?? 0)}${least}`)
  }
  if (us['sojournP50Us'] !== undefined) {
    parts.push(
      `queue ${formatMicroseconds(us['sojournP50Us'])}, 99 % within ${formatMicroseconds(us['sojournP99Us'] ?? 0)}`,
    )
  }
  return parts.join('   ')
}

function dropsText(stats: object): string {
  const causes = dropsOf(stats).filter(([, count]) => count > 0)
  if (causes.length === 0) return 'none'
  return `${formatCount(sum(causes))}: ${causes.map(([cause, count]) => `${cause} ${formatCount(count)}`).join(', ')}`
}

function historyRows(history: readonly Change[]): [string, string][] {
  return history.slice(-CHANGES_SHOWN).map((change, index) => [index === 0 ? 'history' : '', changeText(change)])
}

/** `2026-11-24 21:00:00  up  192.0.2.1:7000`, in local time. */
export function changeText({ at, state, peer, reason }: Change): string {
  const time = new Date(at)
  const two = (number: number) => String(number).padStart(2, '0')
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-')
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')
  return `${date} ${clock}  ${state.padEnd(10)}  ${peer ?? reason ?? ''}`.trimEnd()
}

/** `0.21 ms`, `12.3 ms`, `1.20 s`. */
export function formatMicroseconds(us: number): string {
  if (us >= 999_500) return `${(us / 1_000_000).toPrecision(3)} s`
  const ms = us / 1000
  return `${ms >= 99.95 ? ms.toFixed(0) : ms >= 9.995 ? ms.toFixed(1) : ms.toFixed(2)} ms`
}

function milliseconds(ms: number): string {
  return formatMicroseconds(ms * 1000)
}

function sum(counts: readonly (readonly [string, number])[]): number {
  return counts.reduce((total, [, count]) => total + count, 0)
}

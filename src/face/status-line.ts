/**
 * The live line: what a tunnel is doing, in at most as many columns as the terminal has.
 *
 * Pure: everything it shows is an argument, so the same view always gives the same text.
 */

import { stripVTControlCharacters } from 'node:util'
import type { TunnelState, TunnelStats } from '../tunnel-events.js'
import { formatBitRate, formatBytes, formatCount, formatElapsed } from './format.js'
import type { Rates } from './rates.js'

/** What the line shows. */
export interface View {
  readonly name: string
  readonly state: TunnelState
  /** How long it has been in this state. */
  readonly stateMs: number
  /** The peer when up; otherwise where this end listens or dials. */
  readonly where: string
  readonly stats: TunnelStats
  readonly rates: Rates
}

/** How it may show it. */
export interface Look {
  readonly columns: number
  readonly color: boolean
  readonly unicode: boolean
}

const STATE_COLORS: Readonly<Record<TunnelState, number>> = {
  opening: 33,
  listening: 33,
  connecting: 33,
  up: 32,
  waiting: 33,
  closed: 31,
}

/** The text, without control characters other than colours. */
export function statusLine(view: View, look: Look): string {
  const widths = VARIANTS.map((variant) => variant(view, look.unicode))
  const fitting = widths.find((parts) => lengthOf(parts) <= look.columns)
  if (fitting === undefined) return cut((widths.at(-1) ?? []).join(SEPARATOR), look.columns)
  if (look.color) fitting[0] = paint(fitting[0] ?? '', STATE_COLORS[view.state])
  return fitting.join(SEPARATOR)
}

const SEPARATOR = '  '

type Variant = (view: View, unicode: boolean) => string[]

/** From the fullest to the barest: a narrow terminal loses detail, never the rates and the state. */
const VARIANTS: readonly Variant[] = [
  (view, unicode) => [
    head(view),
    plain(view.where),
    direction(view, unicode, 'tx', true, true),
    direction(view, unicode, 'rx', true, true),
    drops(view),
  ],
  (view, unicode) => [
    head(view),
    plain(view.where),
    direction(view, unicode, 'tx', true, false),
    direction(view, unicode, 'rx', true, false),
    drops(view),
  ],
  (view, unicode) => [
    head(view),
    direction(view, unicode, 'tx', true, false),
    direction(view, unicode, 'rx', true, false),
    drops(view),
  ],
  (view, unicode) => [
    head(view),
    direction(view, unicode, 'tx', false, false),
    direction(view, unicode, 'rx', false, false),
  ],
]

function head({ name, state, stateMs }: View): string {
  return `${plain(name)} ${state} ${formatElapsed(stateMs)}`
}

function direction(
  { stats, rates }: View,
  unicode: boolean,
  way: 'tx' | 'rx',
  withBytes: boolean,
  withPackets: boolean,
): string {
  const [arrow, rate, bytes, packets] =
    way === 'tx'
      ? [unicode ? '↑' : 'tx', rates.txBitsPerSecond, stats.txBytes, stats.txPackets]
      : [unicode ? '↓' : 'rx', rates.rxBitsPerSecond, stats.rxBytes, stats.rxPackets]
  // Padded, so that the rest of the line stands still while the rate changes.
  const parts = [`${arrow} ${formatBitRate(rate).padStart(11)}`]
  if (withBytes) parts.push(formatBytes(bytes).padStart(8))
  if (withPackets) parts.push(`${formatCount(packets)} pkt`)
  return parts.join(' ')
}

function drops({ stats }: View): string {
  return `drops ${formatCount(totalDrops(stats))}`
}

/** Packets dropped for whatever cause. */
export function totalDrops(stats: TunnelStats): number {
  const { dropsDown, dropsOversize, dropsTun, dropsHeader, dropsCodel, dropsOverlimit } = stats
  return dropsDown + dropsOversize + dropsTun + dropsHeader + dropsCodel + dropsOverlimit
}

function lengthOf(parts: readonly string[]): number {
  return Array.from(parts.join(SEPARATOR)).length
}

function cut(line: string, columns: number): string {
  const chars = Array.from(line)
  return chars.length <= columns ? line : chars.slice(0, Math.max(0, columns)).join('')
}

function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{C}/gu, '?')
}

function paint(text: string, color: number): string {
  return `\u001b[${color}m${text}\u001b[0m`
}

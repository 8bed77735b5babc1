/** What `zportal top` shows, as lines of exactly the terminal's width. Pure: the same view gives the same lines. */

import { dropsOf } from '../control/metrics.js'
import type { TunnelStatus } from '../control/status.js'
import { formatBitRate, formatBytes, formatCount, formatElapsed } from '../face/format.js'
import { changeText, formatMicroseconds, wayText } from '../face/status-text.js'
import { sparkline } from './sparkline.js'
import { fit, plain } from './width.js'

/** What is known. */
export interface TopView {
  readonly status: TunnelStatus
  /** Drops by cause over the last second. */
  readonly dropsPerSecond: Readonly<Record<string, number>>
  /** One value a second, the newest last. */
  readonly txBitsPerSecond: readonly number[]
  readonly rxBitsPerSecond: readonly number[]
  readonly rttUs: readonly number[]
  /** That the tunnel gives no answer any more, and why. */
  readonly gone: string | undefined
}

export interface TopLook {
  readonly columns: number
  readonly rows: number
  readonly color: boolean
  readonly unicode: boolean
}

const LABEL_COLUMNS = 12
const VALUE_COLUMNS = 13
const SPARK_MAX_COLUMNS = 60
const GREEN = 32
const YELLOW = 33
const RED = 31
const CYAN = 36
const DIM = 2

/** The screen, from its first row; never more rows than there are, the last is the help. */
export function topScreen(view: TopView, look: TopLook): string[] {
  const { columns, rows } = look
  const paint = (code: number, text: string) => (look.color ? `\u001b[${code}m${text}\u001b[0m` : text)
  const { status } = view
  const stateColor = view.gone !== undefined ? RED : status.state === 'up' ? GREEN : YELLOW
  const [head = '', ...subhead] = headLines(view)
  const details = [...subhead, '', ...barLines(view, look), '', ...factLines(view), '']
  const room = Math.max(0, rows - 1)
  const history = status.history.map((change) => `  ${plain(changeText(change))}`)
  const left = Math.max(0, room - 1 - details.length - 1)
  const body = [...details, ...(left > 0 ? ['history', ...history.slice(-left)] : [])]
  const lines = [
    paint(stateColor, fit(head, columns)),
    ...body.map((line) => decorated(fit(line, columns), paint)),
  ].slice(0, room)
  while (lines.length < room) lines.push(' '.repeat(columns))
  const help = view.gone === undefined ? 'q quits' : `${plain(view.gone)}   q quits`
  return rows > 0 ? [...lines, paint(view.gone === undefined ? DIM : RED, fit(help, columns))] : []
}

/** A line with its label dim and its curve in a colour of its own; its width stays. */
function decorated(line: string, paint: (code: number, text: string) => string): string {
  const [, label = '', rest = line] = /^([a-z][a-z ]{0,10} +)(.*)$/.exec(line) ?? []
  const curve = rest.replace(/[▁-█](?:[▁-█ ]*[▁-█])?/u, (columns) => paint(CYAN, columns))
  return label === '' ? curve : `${paint(DIM, label)}${curve}`
}

function headLines({ status, gone }: TopView): string[] {
  const { name, role, state, stateMs, peer, local, connect, mtu, addresses, reason } = status
  const where = peer?.address ?? local ?? connect ?? ''
  const first = gone === undefined ? `${name}  ${role}  ${state} ${formatElapsed(stateMs)}` : `${name}  ${role}  gone`
  const why = reason === null || state === 'up' ? '' : `${reason.code}: ${reason.message}`
  return [
    plain(`${first}  ${where}`),
    plain([...addresses, `mtu ${mtu}`, peer?.speech ?? ''].join('  ')),
    ...(why === '' ? [] : [plain(why)]),
  ]
}

function barLines(view: TopView, { columns, unicode }: TopLook): string[] {
  const { status, txBitsPerSecond, rxBitsPerSecond, rttUs } = view
  const stats = status.stats as unknown as Readonly<Record<string, number | undefined>>
  const bar = (label: string, value: string, values: readonly number[], format: (value: number) => string) => {
    const most = Math.max(0, ...values)
    const note = most > 0 ? `  most ${format(most)}` : ''
    const room = columns - LABEL_COLUMNS - VALUE_COLUMNS - 2 - 18
    const spark = sparkline(values, Math.max(0, Math.min(SPARK_MAX_COLUMNS, room)), unicode)
    return `${label.padEnd(LABEL_COLUMNS)}${value.padStart(VALUE_COLUMNS)}  ${spark}${note}`
  }
  const rtt = stats['rttUs'] ?? 0
  return [
    bar('sent', formatBitRate(status.rates.txBitsPerSecond), txBitsPerSecond, formatBitRate),
    bar('received', formatBitRate(status.rates.rxBitsPerSecond), rxBitsPerSecond, formatBitRate),
    bar('round trip', rtt > 0 ? formatMicroseconds(rtt) : '', rttUs, formatMicroseconds),
  ]
}

function factLines({ status, dropsPerSecond }: TopView): string[] {
  const { stats } = status
  const more = stats as unknown as Readonly<Record<string, number | undefined>>
  const fact = (label: string, parts: readonly string[]) =>
    `${label.padEnd(LABEL_COLUMNS)}${parts.filter(Boolean).join('   ')}`
  const delay = more['sojournP50Us']
  const drops = dropsOf(stats)
    .filter(([, count]) => count > 0)
    .map(([cause, count]) => {
      const rate = dropsPerSecond[cause] ?? 0
      return `${cause} ${formatCount(count)}${rate > 0 ? ` (+${formatCount(rate)}/s)` : ''}`
    })
  return [
    fact('totals', [
      `sent ${formatBytes(stats.txBytes)}, ${formatCount(stats.txPackets)} packets`,
      `received ${formatBytes(stats.rxBytes)}, ${formatCount(stats.rxPackets)} packets`,
    ]),
    fact('queue', [
      `${formatBytes(stats.queueBytes)} in ${formatCount(stats.queuePackets)} waiting`,
      delay === undefined
        ? ''
        : `${formatMicroseconds(delay)}, 99 % within ${formatMicroseconds(more['sojournP99Us'] ?? 0)}`,
      (more['marksCe'] ?? 0) > 0 ? `marked ${formatCount(more['marksCe'] ?? 0)}` : '',
    ]),
    fact('link', [
      stats.rateBytesPerSecond > 0 ? formatBitRate(stats.rateBytesPerSecond * 8) : 'not measured yet',
      (more['minRttUs'] ?? 0) > 0 ? `least round trip ${formatMicroseconds(more['minRttUs'] ?? 0)}` : '',
      (more['windowBytes'] ?? 0) > 0 ? `window ${formatBytes(more['windowBytes'] ?? 0)}` : '',
    ]),
    fact('drops', drops.length === 0 ? ['none'] : drops),
    fact('hops', [plain(wayText(status)) || 'none between']),
  ]
}

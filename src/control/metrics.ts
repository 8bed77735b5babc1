/** A tunnel in the text format that Prometheus scrapes (version 0.0.4). Pure: a status in, text out. */

import type { TunnelStatus } from './status.js'

/** The content type that goes with the text. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number]

interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly samples: (status: TunnelStatus) => Sample[]
}

const STATES = ['opening', 'listening', 'connecting', 'up', 'waiting', 'closed'] as const

const METRICS: readonly Metric[] = [
  gauge('info', 'What runs, as labels; always 1.', ({ role, zportal }) => [[{ role, version: zportal }, 1]]),
  gauge('up', 'Whether traffic can flow.', ({ state }) => [[{}, state === 'up' ? 1 : 0]]),
  gauge('state', 'The state it is in is 1, the others 0.', ({ state }) =>
    STATES.map((each) => [{ state: each }, each === state ? 1 : 0]),
  ),
  gauge('state_seconds', 'Time in this state.', ({ stateMs }) => [[{}, stateMs / 1000]]),
  gauge('start_time_seconds', 'When the tunnel opened, Unix time.', ({ openedAt }) => [
    [{}, Date.parse(openedAt) / 1000],
  ]),
  counter('packets_total', 'Packets inside the tunnel.', bothWays('txPackets', 'rxPackets')),
  counter('bytes_total', 'Bytes of those packets.', bothWays('txBytes', 'rxBytes')),
  counter('frames_total', 'Frames on the stream.', bothWays('txFrames', 'rxFrames')),
  counter('stream_bytes_total', 'Bytes of the stream, headers included.', bothWays('streamTxBytes', 'streamRxBytes')),
  counter('drops_total', 'Packets dropped, by cause.', ({ stats }) =>
    dropsOf(stats).map(([cause, count]) => [{ cause }, count]),
  ),
  counter('peers_total', 'Connections that became the peer, and those turned away.', ({ stats }) => [
    [{ result: 'accepted' }, stats.peersAccepted],
    [{ result: 'refused' }, stats.peersRefused],
  ]),
  counter(
    'unknown_controls_total',
    'Control messages of kinds that this version does not know.',
    one('unknownControls'),
  ),
  counter('reconnects_total', 'Times that a peer came back.', one('reconnects')),
  counter('ce_marks_total', 'Packets marked as having met congestion (RFC 3168).', one('marksCe')),
  gauge('queue_packets', 'Packets that wait; a super-packet counts as one.', one('queuePackets')),
  gauge('queue_bytes', 'Bytes that wait.', one('queueBytes')),
  gauge('queue_delay_p50_seconds', 'Half of the packets waited no longer.', one('sojournP50Us', 1e-6)),
  gauge('queue_delay_p99_seconds', '99 of 100 packets waited no longer.', one('sojournP99Us', 1e-6)),
  gauge('queue_delay_sparse_p99_seconds', 'The same of flows with little to send.', one('sojournSparseP99Us', 1e-6)),
  gauge('link_bytes_per_second', 'What the link was seen to carry; 0 while unknown.', one('rateBytesPerSecond')),
  gauge('window_bytes', 'What may stand on the path.', one('windowBytes')),
  gauge('rtt_seconds', 'Round trip to the peer, measured inside the stream; 0 while unknown.', one('rttUs', 1e-6)),
  gauge('min_rtt_seconds', 'The shortest of those round trips lately; 0 while unknown.', one('minRttUs', 1e-6)),
]

/** The text, a family a paragraph. What a tunnel cannot tell is left out. */
export function metricsText(status: TunnelStatus): string {
  return METRICS.map(({ name, type, help, samples }) => {
    const lines = samples(status).map(
      ([labels, value]) => `${name}${labelText({ name: status.name, ...labels })} ${value}\n`,
    )
    return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
  }).join('')
}

/** Packets dropped by cause, every cause that the counters know: `dropsCodel` is the cause `codel`. */
export function dropsOf(stats: object): [cause: string, count: number][] {
  return Object.entries(stats as Record<string, number>)
    .filter(([key]) => key.startsWith('drops'))
    .map(([key, count]) => [key.slice('drops'.length).toLowerCase(), count])
}

function counter(name: string, help: string, samples: Metric['samples']): Metric {
  return { name: `zportal_${name}`, type: 'counter', help, samples }
}

function gauge(name: string, help: string, samples: Metric['samples']): Metric {
  return { name: `zportal_${name}`, type: 'gauge', help, samples }
}

function one(key: string, unit = 1): Metric['samples'] {
  return ({ stats }) => {
    const value = valueOf(stats, key)
    // 3 µs times 1e-6 would be 0.0000029999999999999997.
    return value === undefined ? [] : [[{}, unit === 1 ? value : value / Math.round(1 / unit)]]
  }
}

function bothWays(tx: string, rx: string): Metric['samples'] {
  return ({ stats }) => [
    [{ direction: 'tx' }, valueOf(stats, tx) ?? 0],
    [{ direction: 'rx' }, valueOf(stats, rx) ?? 0],
  ]
}

function valueOf(stats: object, key: string): number | undefined {
  return (stats as Readonly<Record<string, number | undefined>>)[key]
}

/** Backslash, quote and line feed are what the format escapes in a label's value. */
function labelText(labels: Labels): string {
  const escaped = (value: string) => value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))
  return `{${Object.entries(labels)
    .map(([label, value]) => `${label}="${escaped(value)}"`)
    .join(',')}}`
}

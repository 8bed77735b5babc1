/** A bench as text for people: pure, aligned, with units. */

import type { BenchResult } from '../bench/measure.js'
import type { Grade, Pings } from '../bench/grade.js'
import { formatBitRate } from './format.js'
import { alignedTable, formatMicroseconds } from './status-text.js'

const MEANINGS: Readonly<Record<Grade, string>> = {
  'A+': 'nobody notices the load',
  A: 'calls and games go on beside it',
  B: 'calls go on, games suffer',
  C: 'calls suffer',
  D: 'everything that waits for answers suffers',
  F: 'nothing else is of use beside it',
}

export function benchText(result: BenchResult): string {
  const { name, peer, speech, seconds, streams, idle, download, upload, riseMs, grade } = result
  const row = (label: string, rate: string, pings: Pings, rise: number | null | undefined, stream: number | null) => [
    label,
    rate,
    ms(pings.medianMs),
    ms(pings.p99Ms),
    rise === undefined ? '' : rise === null ? '?' : `+${ms(rise)}`,
    pings.sent === 0 ? '' : `${(((pings.sent - pings.received) * 100) / pings.sent).toFixed(1)} %`,
    ms(stream),
  ]
  const table = alignedTable([
    ['', 'RATE', 'PING', '99 % WITHIN', 'RISE', 'LOST', 'IN THE STREAM'],
    row('idle', '', idle.pings, undefined, idle.streamRttMs),
    row('download', formatBitRate(download.bitsPerSecond), download.pings, download.riseMs, download.streamRttMs),
    row('upload', formatBitRate(upload.bitsPerSecond), upload.pings, upload.riseMs, upload.streamRttMs),
  ])
  const verdict =
    grade === null || riseMs === null
      ? 'no grade: no ping came back; does a firewall at the peer forbid UDP?'
      : `grade ${grade}: ping rises by ${ms(riseMs)} under load; ${MEANINGS[grade]}`
  const how = `${streams} ${streams === 1 ? 'stream' : 'streams'}, ${seconds} s each way`
  return `${name} with ${peer} (${speech}), ${how}\n\n${table}\n${verdict}\n`
}

function ms(value: number | null): string {
  return value === null ? '?' : formatMicroseconds(value * 1000)
}

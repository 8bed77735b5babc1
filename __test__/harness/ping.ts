/** ICMP echo through the tunnel, by the real `ping`. */
import type { Namespace } from './namespace.js'
import type { Child } from './process.js'

export interface PingOptions {
  count?: number
  /** Between two requests. Below 200 ms `ping` wants root, which these tests have. */
  intervalMs?: number
  /** ICMP payload bytes; the packet has 28 (IPv4) or 48 (IPv6) more. */
  sizeBytes?: number
  /** Never fragment: a packet above the MTU fails instead. */
  whole?: boolean
  /** Each request is sent when the answer of the last has come. */
  flood?: boolean
}

export interface PingResult {
  sent: number
  received: number
  /** Round trip; undefined when nothing came back. */
  rttMs: { min: number; mean: number; max: number } | undefined
}

/** Pings from inside a namespace. Lost packets are a result, not a failure. */
export async function ping(from: Namespace, to: string, options: PingOptions = {}): Promise<PingResult> {
  const { count = 10, intervalMs = 30, sizeBytes = 56, whole = false, flood = false } = options
  // -c ends it at once when all have come; -W is how long it waits when none has. When some have, it waits for the last
  // only twice the longest round trip so far or one interval, whichever is longer: so the interval is not a tiny one.
  await using child = from.spawn([
    ...['ping', '-n', '-q', '-c', String(count), '-s', String(sizeBytes), '-W', '2'],
    ...(flood ? ['-f'] : ['-i', String(intervalMs / 1000)]),
    ...(whole ? ['-M', 'do'] : []),
    to,
  ])
  const { code } = await child.exit(count * intervalMs + 30_000)
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(child.stdout)
  // 0: all came back; 1: some did not; everything else is a ping that did not take place.
  if ((code !== 0 && code !== 1) || !counts) throw new Error(`ping failed\n${child.report()}`)
  const rtt = /= ([\d.]+)\/([\d.]+)\/([\d.]+)/.exec(child.stdout)
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    rttMs: rtt ? { min: Number(rtt[1]), mean: Number(rtt[2]), max: Number(rtt[3]) } : undefined,
  }
}

/** A ping that goes on until it is stopped, each answer a line. */
export class SteadyPing implements AsyncDisposable {
  readonly #child: Child

  constructor(from: Namespace, to: string, intervalMs = 20) {
    this.#child = from.spawn(['ping', '-n', '-i', String(intervalMs / 1000), to])
  }

  /** The next answer that comes. */
  async answer(deadlineMs: number): Promise<void> {
    await this.#child.line(ANSWER, { after: this.#child.lines.length, deadlineMs })
  }

  /** Ends it as its user would, and gives every round trip and how many were lost. */
  async end(): Promise<{ rttsMs: number[]; lost: number }> {
    this.#child.signal('SIGINT')
    await this.#child.exit()
    const rttsMs = this.#child.lines.flatMap(({ text }) => {
      const [, rttMs] = ANSWER.exec(text) ?? []
      return rttMs === undefined ? [] : [Number(rttMs)]
    })
    const counts = /(\d+) packets transmitted, (\d+) received/.exec(this.#child.stdout)
    if (!counts) throw new Error(`ping failed\n${this.#child.report()}`)
    // The last request may have been sent a moment before the signal.
    return { rttsMs, lost: Math.max(0, Number(counts[1]) - Number(counts[2]) - 1) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stop()
  }
}

const ANSWER = /bytes from .* time=([\d.]+) ms/

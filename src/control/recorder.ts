/** Remembers what a tunnel did: its changes of state, and its rates second by second. Bounded, and asks little. */

import type { Rates } from '../face/rates.js'
import { rateMeter } from '../face/rates.js'
import type { StateChange } from '../tunnel-events.js'
import type { Tunnel } from '../tunnel.js'
import type { Change, Recorded } from './status.js'

/** Changes of state that are kept; older ones are forgotten. */
export const CHANGES_MAX = 64
/** Seconds of rates that are kept: what a terminal is wide. */
export const SAMPLES_MAX = 120
const SAMPLE_EVERY_MS = 1000

/** `GET /samples`: one value a second, the oldest first. */
export interface Samples {
  readonly everyMs: number
  readonly txBitsPerSecond: readonly number[]
  readonly rxBitsPerSecond: readonly number[]
}

export interface Recorder {
  recorded(): Recorded
  samples(): Samples
  stop(): void
}

/** Begins to record. A timer of its own runs until it is stopped, and keeps no process alive. */
export function record(tunnel: Tunnel): Recorder {
  const opened: Change = { at: new Date().toISOString(), state: tunnel.state, previous: 'opening' }
  const history: Change[] = [opened]
  const samples: Rates[] = []
  const ratesOf = rateMeter()
  let rates = rounded(ratesOf(tunnel.stats(), performance.now()))
  let last: StateChange | undefined
  let since = { date: new Date(), ms: performance.now() }

  const onState = (change: StateChange): void => {
    last = change
    since = { date: new Date(), ms: performance.now() }
    const next = changeOf(change, since.date)
    const before = history.at(-1)
    // A client that dials in vain for a week says so once.
    const isRepeated = before?.state === next.state && before.reason === next.reason
    if (!isRepeated) keep(history, next, CHANGES_MAX)
  }
  tunnel.on('state', onState)
  const timer = setInterval(() => {
    rates = rounded(ratesOf(tunnel.stats(), performance.now()))
    keep(samples, rates, SAMPLES_MAX)
  }, SAMPLE_EVERY_MS)
  timer.unref()

  return {
    recorded: () => ({ since: since.date, stateMs: performance.now() - since.ms, last, rates, history: [...history] }),
    samples: () => ({
      everyMs: SAMPLE_EVERY_MS,
      txBitsPerSecond: samples.map(({ txBitsPerSecond }) => txBitsPerSecond),
      rxBitsPerSecond: samples.map(({ rxBitsPerSecond }) => rxBitsPerSecond),
    }),
    stop: () => {
      clearInterval(timer)
      tunnel.off('state', onState)
    },
  }
}

function rounded({ txBitsPerSecond, rxBitsPerSecond }: Rates): Rates {
  return { txBitsPerSecond: Math.round(txBitsPerSecond), rxBitsPerSecond: Math.round(rxBitsPerSecond) }
}

function changeOf({ state, previous, peer, reason }: StateChange, at: Date): Change {
  return {
    at: at.toISOString(),
    state,
    previous,
    ...(peer === undefined ? {} : { peer: peer.address }),
    ...(reason === undefined ? {} : { reason: reason.code }),
  }
}

function keep<T>(items: T[], item: T, most: number): void {
  items.push(item)
  if (items.length > most) items.shift()
}

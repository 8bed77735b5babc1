/** Rates from totals: how much the counters of a tunnel grew between two looks. */

import type { TunnelStats } from '../tunnel-events.js'

/** Both directions at one moment, in bits of inner packets a second. */
export interface Rates {
  readonly txBitsPerSecond: number
  readonly rxBitsPerSecond: number
}

/** Returns a function that takes the totals and the time, and gives the rates since it was last called. */
export function rateMeter(): (stats: TunnelStats, nowMs: number) => Rates {
  let last: { txBytes: number; rxBytes: number; nowMs: number } | undefined
  let rates: Rates = { txBitsPerSecond: 0, rxBitsPerSecond: 0 }
  return ({ txBytes, rxBytes }, nowMs) => {
    const elapsedMs = last === undefined ? 0 : nowMs - last.nowMs
    if (last !== undefined && elapsedMs > 0) {
      const perSecond = (bytes: number) => (bytes * 8 * 1000) / elapsedMs
      rates = {
        txBitsPerSecond: perSecond(txBytes - last.txBytes),
        rxBitsPerSecond: perSecond(rxBytes - last.rxBytes),
      }
    }
    // Two looks at the same moment say nothing new about the rate.
    if (last === undefined || elapsedMs > 0) last = { txBytes, rxBytes, nowMs }
    return rates
  }
}

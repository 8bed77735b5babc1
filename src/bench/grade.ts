/** What pings say of a link, and the grade that tests of bufferbloat give for it. Pure. */

/** Round trips of one phase. */
export interface Pings {
  readonly sent: number
  readonly received: number
  /** Milliseconds; null when none came back. */
  readonly minMs: number | null
  readonly medianMs: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

export type Grade = 'A+' | 'A' | 'B' | 'C' | 'D' | 'F'

/** By the rise of the median round trip under load, as the tests of DSLReports and Waveform have it. */
const LIMITS_MS: readonly (readonly [Grade, number])[] = [
  ['A+', 5],
  ['A', 30],
  ['B', 60],
  ['C', 200],
  ['D', 400],
]

export function gradeOf(riseMs: number): Grade {
  return LIMITS_MS.find(([, limitMs]) => riseMs < limitMs)?.[0] ?? 'F'
}

export function summary(sent: number, roundTripsMs: readonly number[]): Pings {
  const sorted = [...roundTripsMs].sort((a, b) => a - b)
  const at = (share: number): number | null => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
    return value === undefined ? null : rounded(value)
  }
  return { sent, received: sorted.length, minMs: at(0), medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** How much higher the median is under load, never below zero; null when either is unknown. */
export function riseOf(idle: Pings, loaded: Pings): number | null {
  if (idle.medianMs === null || loaded.medianMs === null) return null
  return rounded(Math.max(0, loaded.medianMs - idle.medianMs))
}

/** To the hundredth of a millisecond: what is beyond is the clock's and the scheduler's. */
export function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}

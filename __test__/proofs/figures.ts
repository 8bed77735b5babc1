/**
 * What a proof has measured, beside what was promised: `npm run soak` collects the figures for its table, and a promise
 * that is not kept fails the test in either case.
 */
import { appendFileSync } from 'node:fs'

import { expect } from 'vitest'

/** Where `npm run soak` wants the figures, one line of JSON each. */
const REPORT = process.env['ZPORTAL_SOAK_REPORT']

export interface Figure {
  /** Which proof it belongs to. */
  proof: string
  /** What was measured. */
  what: string
  value: number
  unit: 'ms' | 's' | 'KiB' | ''
  /** The promise; a figure without one is only told. */
  atMost?: number
}

/** Tells the figure, and lets the test fail (but go on to the next figure) when it is beyond the promise. */
export function tell({ proof, what, value, unit, atMost }: Figure): void {
  const rounded = Math.round(value * 100) / 100
  if (REPORT !== undefined) {
    appendFileSync(REPORT, `${JSON.stringify({ proof, what, value: rounded, unit, atMost })}\n`)
  }
  if (atMost !== undefined)
    expect.soft(rounded, `${proof}: ${what}, in ${unit || 'pieces'}`).toBeLessThanOrEqual(atMost)
}

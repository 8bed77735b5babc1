/**
 * How long to wait before the next attempt: longer after each failure, up to a bound, and never the same for two clients
 * that lost the same server at the same moment.
 */

/** The longest pause after the first failure. */
export const FIRST_PAUSE_MS = 100
/** No pause is longer. */
export const LONGEST_PAUSE_MS = 5000

/** Pauses of 0.1, 0.2, 0.4 … 5 s, each shortened by up to half at random. */
export class BackOff {
  readonly #random: () => number
  #failures = 0

  /** `random` gives numbers from 0 to 1, as `Math.random` does. */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** The pause after one more failure, in whole milliseconds. */
  next(): number {
    const boundMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures)
    // Beyond the bound counting on would only overflow.
    if (boundMs < LONGEST_PAUSE_MS) this.#failures += 1
    return Math.round(boundMs * (1 - this.#random() / 2))
  }

  /** What was tried has worked: the next failure is a first one. */
  reset(): void {
    this.#failures = 0
  }
}

/** Decides what of an endless repetition is worth a line: the first of its kind, and a reminder now and then. */

/** After this long the same is told again, for those who look at the end of a log only. */
const REMIND_AFTER_MS = 10 * 60_000

/** One more thing that may be told. */
export interface Retelling {
  readonly isWorthALine: boolean
  /** How many there were since the tunnel was last up, this one included. */
  readonly attempts: number
}

/** Remembers what was told since it last was worth forgetting. */
export class Retell {
  readonly #toldAtMs = new Map<string, number>()
  #attempts = 0

  /** Something of that kind happened at that time. */
  hear(kind: string, nowMs: number): Retelling {
    this.#attempts += 1
    const toldAtMs = this.#toldAtMs.get(kind)
    const isWorthALine = toldAtMs === undefined || nowMs - toldAtMs >= REMIND_AFTER_MS
    if (isWorthALine) this.#toldAtMs.set(kind, nowMs)
    return { isWorthALine, attempts: this.#attempts }
  }

  /** What comes next is news again. */
  forget(): void {
    this.#toldAtMs.clear()
    this.#attempts = 0
  }
}

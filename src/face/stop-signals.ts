/** SIGINT, SIGTERM and, where it means a closed terminal, SIGHUP: the first asks for a clean end, a second takes it. */

import { constants } from 'node:os'

/** A clean end has to be over within a second of the signal; what then still holds the process is let go. */
const CLEAN_END_WITHIN_MS = 900
/** A terminal and a wrapper such as npm or sudo both pass Ctrl-C on: signals this close to the first are the same one. */
const SAME_SIGNAL_WITHIN_MS = 250

/** How a process may be asked to stop. */
interface Stopping {
  /** Whether SIGHUP asks for it, too. */
  readonly hangUp: boolean
  /** Time that a clean end may take beside our own part in it, milliseconds, as it is then. */
  readonly moreMs: () => number
}

/** Returns a signal that aborts, with the name of the system's signal as reason, when the process is asked to stop. */
export function stopSignals({ hangUp, moreMs }: Stopping): AbortSignal {
  const controller = new AbortController()
  let firstAtMs: number | undefined
  for (const name of ['SIGINT', 'SIGTERM', ...(hangUp ? (['SIGHUP'] as const) : [])] as const) {
    process.on(name, () => {
      const nowMs = performance.now()
      if (firstAtMs === undefined) {
        firstAtMs = nowMs
        setTimeout(() => process.exit(1), CLEAN_END_WITHIN_MS + moreMs()).unref()
        controller.abort(name)
      } else if (nowMs - firstAtMs > SAME_SIGNAL_WITHIN_MS) {
        process.exit(128 + constants.signals[name])
      }
    })
  }
  return controller.signal
}

/** SIGINT and SIGTERM: the first asks for a clean end, the second takes it. */

import { constants } from 'node:os'

/** A clean end has to be over within a second of the signal; what then still holds the process is let go. */
const CLEAN_END_WITHIN_MS = 900

/** Returns a signal that aborts when the process is asked to stop. */
export function stopSignals(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[name])
      controller.abort(name)
      setTimeout(() => process.exit(1), CLEAN_END_WITHIN_MS).unref()
    })
  }
  return controller.signal
}

/** Runs one tunnel in the foreground, showing what it does, until it ends or the process is asked to stop. */

import type { TunnelOptions } from '../options.js'
import { openTunnel } from '../tunnel.js'
import { liveLine } from './live.js'
import { logLine } from './log-line.js'
import type { Say } from './narrate.js'
import { narrate } from './narrate.js'
import { stopSignals } from './stop-signals.js'

/**
 * Resolves when the process was asked to stop and the tunnel is gone.
 *
 * @throws {@link ZPortalError} what ended the tunnel otherwise.
 */
export async function foreground(options: TunnelOptions, { live }: { readonly live: boolean }): Promise<void> {
  const stop = stopSignals()
  // A reader of our log that goes away must not take the tunnel with it.
  process.stderr.on('error', () => undefined)
  const screen = live ? liveLine(process.stderr, process.env) : undefined
  try {
    const tunnel = await openTunnel({ ...options, signal: stop })
    narrate(tunnel, options, screen?.say ?? log)
    screen?.start(tunnel, options)
    const { reason } = await tunnel.closed
    throw reason
  } catch (error) {
    if (!stop.aborted) throw error
  } finally {
    screen?.stop()
  }
}

/** Whether a line that repaints itself makes sense there. */
export function isLiveTerminal(out: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  return out.isTTY === true && env['TERM'] !== 'dumb'
}

const log: Say = (level, message, fields) => {
  process.stderr.write(`${logLine(new Date(), level, message, fields)}\n`)
}

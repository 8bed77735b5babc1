/** Runs one tunnel in the foreground, showing what it does, until it ends or the process is asked to stop. */

import type { TunnelOptions } from '../options.js'
import type { Host } from '../control/serve.js'
import { loadNative } from '../native.js'
import type { Notifier } from '../service/notifier.js'
import { notifier } from '../service/notifier.js'
import { openTunnelWith } from '../tunnel.js'
import { liveLine } from './live.js'
import { logLine } from './log-line.js'
import type { Say } from './narrate.js'
import { narrate } from './narrate.js'
import { stopSignals } from './stop-signals.js'

/** How the tunnel is shown, and what its control socket can tell and do beside. */
export interface Foreground extends Host {
  /** Whether a line that repaints itself stands at the foot of the terminal. */
  readonly live: boolean
}

/**
 * Resolves when the process or the tunnel was asked to stop and the tunnel is gone.
 *
 * @throws {@link ZPortalError} what ended the tunnel otherwise.
 */
export async function foreground(options: TunnelOptions, { live, ...host }: Foreground): Promise<void> {
  const stop = stopSignals()
  // A reader of our log that goes away must not take the tunnel with it.
  process.stderr.on('error', () => undefined)
  const screen = live ? liveLine(process.stderr, process.env) : undefined
  let manager: Notifier | undefined
  try {
    const tunnel = await openTunnelWith(loadNative, { ...options, signal: stop }, host)
    const say = screen?.say ?? log
    narrate(tunnel, options, say)
    manager = notifier(loadNative, process.env, (detail) => {
      say('warn', 'service-manager', { name: tunnel.name, detail })
    })
    manager?.follow(tunnel)
    stop.addEventListener('abort', () => manager?.stop())
    screen?.start(tunnel, options)
    const { reason } = await tunnel.closed
    // Over the control socket, which is as good as a signal.
    if (reason.code !== 'ZP_CLOSED') throw reason
  } catch (error) {
    if (!stop.aborted) throw error
  } finally {
    manager?.stop()
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

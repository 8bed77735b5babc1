/** Runs one tunnel in the foreground, showing what it does, until it ends or the process is asked to stop. */

import type { LogLevel } from '../config/log-level.js'
import { LOG_LEVELS } from '../config/log-level.js'
import type { Host, Reloaded } from '../control/serve.js'
import { ZPortalError } from '../errors.js'
import { HOOK_END_MS } from '../hook/run.js'
import { loadNative } from '../native.js'
import type { TunnelOptions } from '../tunnel-options.js'
import type { Notifier } from '../service/notifier.js'
import { notifier } from '../service/notifier.js'
import type { Tunnel } from '../tunnel.js'
import { openTunnelWith } from '../open.js'
import { liveLine } from './live.js'
import { logLine } from './log-line.js'
import type { Say } from './narrate.js'
import { narrate } from './narrate.js'
import { stopSignals } from './stop-signals.js'

/** How the tunnel is shown, and what its control socket can tell and do beside. */
export interface Foreground extends Host {
  /** Whether a line that repaints itself stands at the foot of the terminal. */
  readonly live: boolean
  /** The least level that is told; asked each time. */
  readonly logLevel?: () => LogLevel
}

/**
 * Resolves when the process or the tunnel was asked to stop and the tunnel is gone.
 *
 * @throws {@link ZPortalError} what ended the tunnel otherwise.
 */
export async function foreground(options: TunnelOptions, how: Foreground): Promise<void> {
  const { live, logLevel = () => 'info' } = how
  // A terminal that closes says so by SIGHUP; what has no terminal is asked by it to read its config again.
  const reload = live ? undefined : how.reload
  let tunnel: Tunnel | undefined
  const stop = stopSignals({ hangUp: reload === undefined, moreMs: () => hooksMs(tunnel) })
  // A reader of our log that goes away must not take the tunnel with it.
  process.stderr.on('error', () => undefined)
  const screen = live ? liveLine(process.stderr, process.env) : undefined
  const say: Say = (level, message, fields) => {
    if (LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(logLevel())) (screen?.say ?? log)(level, message, fields)
  }
  let manager: Notifier | undefined
  try {
    const host = { config: how.config, reload: how.reload && ((of: Tunnel) => reloading(how.reload, of, say)) }
    if (reload !== undefined) {
      process.on('SIGHUP', () => {
        // What came of it has been told already. Before there is a tunnel, the config is new enough.
        if (tunnel !== undefined) reloading(reload, tunnel, say).catch(() => undefined)
      })
    }
    tunnel = await openTunnelWith(loadNative, { ...options, signal: stop }, host)
    const { name } = tunnel
    narrate(tunnel, options, say)
    manager = notifier(loadNative, process.env, (detail) => {
      say('warn', 'service-manager', { name, detail })
    })
    manager?.follow(tunnel)
    void tunnel.ending.then(() => manager?.stop())
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

/** How long the end may wait for the user's own programs: for one that runs, and for the one at the end. */
function hooksMs(tunnel: Tunnel | undefined): number {
  const { up, reconnect, down, timeoutMs = 0 } = tunnel?.options.hooks ?? {}
  const runningMs = up === undefined && reconnect === undefined ? 0 : HOOK_END_MS
  return runningMs + (down === undefined ? 0 : timeoutMs + HOOK_END_MS)
}

/** Whether a line that repaints itself makes sense there. */
export function isLiveTerminal(out: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  return out.isTTY === true && env['TERM'] !== 'dumb'
}

/** Reloads, and tells in the log what came of it, whoever asked. */
async function reloading(reload: Host['reload'], tunnel: Tunnel, say: Say): Promise<Reloaded> {
  try {
    const reloaded = await (reload?.(tunnel) ?? Promise.resolve({ applied: [], next: [], restart: [] }))
    const list = (keys: readonly string[]) => (keys.length === 0 ? undefined : keys.join(','))
    const restart = list(reloaded.restart)
    say(restart === undefined ? 'info' : 'warn', 'reloaded', {
      applied: list(reloaded.applied),
      next: list(reloaded.next),
      restart,
    })
    return reloaded
  } catch (error) {
    const { code, message } = error instanceof ZPortalError ? error : { code: 'ZP_INTERNAL', message: String(error) }
    say('error', 'reload-refused', { code, detail: message })
    throw error
  }
}

const log: Say = (level, message, fields) => {
  process.stderr.write(`${logLine(new Date(), level, message, fields)}\n`)
}

/**
 * What the service manager is told (sd_notify(3)): that the tunnel is ready, how it stands, that it is alive, that it
 * ends. Without `NOTIFY_SOCKET` in the environment there is no service manager, and nothing is told to nobody.
 */

import type { NativeAddon } from '../native.js'
import type { StateChange, TunnelState } from '../tunnel-events.js'
import type { Tunnel } from '../tunnel.js'

/** Longer lines would be cut by `systemctl status`. */
const STATUS_MAX_CHARS = 160

/** A tunnel's ear at the service manager. */
export interface Notifier {
  /** Tells of this tunnel from now on, beginning with the state it is in. */
  follow(tunnel: Followed): void
  /** Tells that it ends, and takes the timer away. Calling it again is harmless. */
  stop(): void
}

/** What is asked of a tunnel. */
export type Followed = Pick<Tunnel, 'role' | 'state' | 'local' | 'isAlive' | 'on'>

/**
 * The notifier that this process's environment asks for.
 *
 * @param failed hears when the manager cannot be told, once.
 */
export function notifier(
  addon: () => Pick<NativeAddon, 'sdNotify'>,
  env: NodeJS.ProcessEnv,
  failed: (sentence: string) => void,
): Notifier | undefined {
  const socket = env['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return undefined
  let hasFailed = false
  const tell = (...lines: string[]) => {
    const errno = addon().sdNotify(socket, lines.join('\n'))
    if (errno === null || hasFailed) return
    hasFailed = true
    failed(`the service manager at ${socket} cannot be told how the tunnel stands (errno ${errno})`)
  }
  let isReady = false
  let isStopping = false
  let timer: NodeJS.Timeout | undefined

  return {
    follow(tunnel) {
      const stateIs = (status: string, state: TunnelState) => {
        // Once ready always ready: a peer that leaves is no reason for others to be stopped with the tunnel.
        const becomesReady = !isReady && isReadyState(tunnel.role, state)
        isReady ||= becomesReady
        tell(...(becomesReady ? ['READY=1'] : []), `STATUS=${status}`)
      }
      stateIs(statusOf(tunnel), tunnel.state)
      tunnel.on('state', (change) => {
        if (change.state === 'closed' || isStopping) return
        stateIs(statusAfter(change), change.state)
      })
      const everyMs = watchdogMs(env)
      if (everyMs === undefined) return
      timer = setInterval(() => {
        if (tunnel.isAlive()) tell('WATCHDOG=1')
      }, everyMs)
      // It is the tunnel that keeps the process.
      timer.unref()
    },
    stop() {
      if (isStopping) return
      isStopping = true
      clearInterval(timer)
      tell('STOPPING=1', 'STATUS=closing')
    },
  }
}

/** A client is ready with its peer. A server is when it listens: whether anybody comes is not in its hands. */
function isReadyState(role: Tunnel['role'], state: TunnelState): boolean {
  return state === 'up' || (role === 'server' && (state === 'listening' || state === 'waiting'))
}

/** How often to say that the tunnel is alive: twice as often as demanded, as sd_watchdog_enabled(3) advises. */
export function watchdogMs(env: NodeJS.ProcessEnv, pid: number = process.pid): number | undefined {
  const demandedUs = Number(env['WATCHDOG_USEC'])
  if (!Number.isInteger(demandedUs) || demandedUs <= 0) return undefined
  // The variables are inherited by children, whom nobody watches.
  if (env['WATCHDOG_PID'] !== undefined && env['WATCHDOG_PID'] !== String(pid)) return undefined
  return Math.max(1, Math.floor(demandedUs / 2000))
}

function statusOf({ state, local }: Pick<Tunnel, 'state' | 'local'>): string {
  return oneLine(local === undefined ? state : `${state} on ${local}`)
}

function statusAfter({ state, peer, reason }: StateChange): string {
  if (peer !== undefined) return oneLine(`up with ${peer.address} (${peer.speech})`)
  return oneLine(reason === undefined ? state : `${state}: ${reason.code}: ${reason.message}`)
}

/** A line feed would begin another assignment, which the peer's words must not do. */
function oneLine(text: string): string {
  return text.replace(/\p{C}+/gu, ' ').slice(0, STATUS_MAX_CHARS)
}

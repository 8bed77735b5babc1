/**
 * The policy of a tunnel's life: when to look for a peer, and when to give up. The core does one step when asked; which
 * step comes next is decided here and nowhere else.
 *
 * A server looks for the next peer whenever one has left. A client dials again whatever ended its session or its dial,
 * after a pause that grows with every failure in a row; the core ends the pause early when the network comes back.
 */

import { BackOff, LONGEST_PAUSE_MS } from './back-off.js'
import type { ErrorCode } from './errors.js'
import { ZPortalError } from './errors.js'
import type { NativePeer, NativeTunnel } from './native.js'
import { guard, settle, toError } from './native.js'

/** A step that went well enough for the tunnel to go on. */
export type Step =
  | { readonly state: 'up'; readonly peer: NativePeer }
  | { readonly state: 'waiting'; readonly reason: ZPortalError; readonly retryMs?: number | undefined }

/** What decides about the next step. */
export interface Policy {
  readonly role: 'server' | 'client'
  /** Whether a client closes after its first session, or its first dial that fails; may change meanwhile. */
  readonly once: boolean
}

/** After these there is no tunnel to look for a peer with, or no hope that it could be found. */
const FATAL: ReadonlySet<ErrorCode> = new Set([
  'ZP_OPTION',
  'ZP_SO_MARK',
  'ZP_TUN_GONE',
  'ZP_TUN_IO',
  'ZP_IO_URING',
  'ZP_CLOSED',
  'ZP_INTERNAL',
] satisfies ErrorCode[])

/**
 * These mean that what was configured is wrong, if it never worked: repeating a wrong password locks accounts. Once it
 * has worked, the same answer is a proxy's trouble, which passes.
 */
const FATAL_AT_FIRST: ReadonlySet<ErrorCode> = new Set(['ZP_PROXY_AUTH'] satisfies ErrorCode[])

/** Runs the tunnel step by step, telling each one, until there is a reason to close it. Never rejects. */
export async function live(
  tunnel: Pick<NativeTunnel, 'establish' | 'ended' | 'stats'>,
  policy: Policy,
  onStep: (step: Step) => void,
): Promise<ZPortalError> {
  const { role } = policy
  const backOff = new BackOff()
  let retryMs = 0
  let wasUp = false
  try {
    for (;;) {
      const { reason, session } = await attempt(tunnel, retryMs, onStep)
      wasUp ||= session !== undefined
      if (FATAL.has(reason.code) || (!wasUp && FATAL_AT_FIRST.has(reason.code))) return reason
      if (role === 'server') {
        // A server that cannot wait for a peer will not be able to a moment later either.
        if (session === undefined) return reason
        onStep({ state: 'waiting', reason })
        continue
      }
      if (policy.once) return reason
      // A peer that takes connections only to end them is no reason to dial it ten times a second.
      if (session !== undefined && (session.packets > 0 || session.lastedMs > LONGEST_PAUSE_MS)) backOff.reset()
      retryMs = backOff.next()
      onStep({ state: 'waiting', reason, retryMs })
    }
  } catch (error) {
    return ownError(error)
  }
}

/** Why there was no session, or why it ended and what came of it. */
interface Attempt {
  readonly reason: ZPortalError
  readonly session?: { readonly packets: number; readonly lastedMs: number }
}

/** Looks for a peer, and waits for the end of its session. */
async function attempt(
  tunnel: Pick<NativeTunnel, 'establish' | 'ended' | 'stats'>,
  pauseMs: number,
  onStep: (step: Step) => void,
): Promise<Attempt> {
  let peer: NativePeer
  try {
    peer = await settle(() => tunnel.establish(pauseMs))
  } catch (error) {
    return { reason: ownError(error) }
  }
  const before = tunnel.stats().rxPackets
  const upAtMs = performance.now()
  onStep({ state: 'up', peer })
  const reason = toError(await guard(() => tunnel.ended()))
  return {
    reason,
    session: { packets: tunnel.stats().rxPackets - before, lastedMs: performance.now() - upAtMs },
  }
}

function ownError(error: unknown): ZPortalError {
  return error instanceof ZPortalError ? error : new ZPortalError('ZP_INTERNAL', String(error), { cause: error })
}

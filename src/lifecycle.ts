/**
 * The policy of a tunnel's life: when to look for a peer, and when to give up. The core does one step when asked; which
 * step comes next is decided here and nowhere else.
 *
 * A server looks for the next peer whenever one has left. A client closes when its peer has left or cannot be reached.
 */

import type { ErrorCode } from './errors.js'
import { ZPortalError } from './errors.js'
import type { NativePeer, NativeTunnel } from './native.js'
import { guard, settle, toError } from './native.js'

/** A step that went well enough for the tunnel to go on. */
export type Step =
  { readonly state: 'up'; readonly peer: NativePeer } | { readonly state: 'waiting'; readonly reason: ZPortalError }

/** After these there is no tunnel to look for a peer with. */
const FATAL: ReadonlySet<ErrorCode> = new Set([
  'ZP_TUN_GONE',
  'ZP_TUN_IO',
  'ZP_IO_URING',
  'ZP_CLOSED',
  'ZP_INTERNAL',
] satisfies ErrorCode[])

/** Runs the tunnel step by step, telling each one, until there is a reason to close it. Never rejects. */
export async function live(
  tunnel: Pick<NativeTunnel, 'establish' | 'ended'>,
  role: 'server' | 'client',
  onStep: (step: Step) => void,
): Promise<ZPortalError> {
  try {
    for (;;) {
      onStep({ state: 'up', peer: await settle(() => tunnel.establish()) })
      const reason = toError(await guard(() => tunnel.ended()))
      if (role === 'client' || FATAL.has(reason.code)) return reason
      onStep({ state: 'waiting', reason })
    }
  } catch (error) {
    return error instanceof ZPortalError ? error : new ZPortalError('ZP_INTERNAL', String(error), { cause: error })
  }
}

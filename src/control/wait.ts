/** Waits for a tunnel until traffic can flow, also for one that has not been started yet or is being restarted. */

import { setTimeout as sleep } from 'node:timers/promises'
import { ZPortalError } from '../errors.js'
import { describe } from '../option-fields.js'
import { askEvents, NobodyThere } from './client.js'
import type { TunnelStatus } from './status.js'
import type { Target } from './target.js'
import { lookFor } from './target.js'

/** The file system does not tell everywhere that a socket has appeared, so we look. */
const LOOK_EVERY_MS = 50

/** What a timer takes. */
export const TIMEOUT_MAX_MS = 2 ** 31 - 1

interface Event {
  readonly event: string
  readonly state?: string
  readonly status?: TunnelStatus
}

/**
 * Resolves with the status once it is up; with the last that was seen, or undefined if the tunnel never ran, when the
 * time is over.
 *
 * @throws {@link ZPortalError} `ZP_OPTION` when `timeoutMs` is no time or when several tunnels could be meant, `ZP_CONTROL` when it cannot be asked.
 */
export async function waitUntilUp(
  target: Target,
  timeoutMs: number,
  env: NodeJS.ProcessEnv,
): Promise<TunnelStatus | undefined> {
  if (!(timeoutMs >= 0 && timeoutMs <= TIMEOUT_MAX_MS)) {
    const message = `must be milliseconds from 0 to ${TIMEOUT_MAX_MS}, got ${describe(timeoutMs)}`
    throw new ZPortalError('ZP_OPTION', `timeoutMs ${message}`, { problems: [{ option: 'timeoutMs', message }] })
  }
  const over = AbortSignal.timeout(Math.ceil(timeoutMs))
  for (;;) {
    const found = await lookFor(target, env)
    if (found?.failure !== undefined) throw found.failure
    if (found?.status?.state === 'up') return found.status
    if (over.aborted) return found?.status
    if (found !== undefined) await changed(found.socket, over)
    else await sleep(LOOK_EVERY_MS, undefined, { signal: over }).catch(() => undefined)
  }
}

/** Resolves when the tunnel there has come up, has ended, or the signal aborts. */
async function changed(socket: string, signal: AbortSignal): Promise<void> {
  try {
    for await (const line of askEvents(socket, signal)) {
      const { event, state, status } = JSON.parse(line) as Event
      if ((event === 'state' && state === 'up') || status?.state === 'up') return
    }
  } catch (error) {
    // It has ended, or our time is over: either way the next look tells.
    const isExpected = error instanceof NobodyThere || (error instanceof ZPortalError && error.code === 'ZP_ABORTED')
    if (!isExpected) throw error
  }
}

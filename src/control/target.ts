/** Which running tunnel a command means. */

import { ZPortalError } from '../errors.js'
import type { Found } from './find.js'
import { find, findAll, lookAt } from './find.js'

/** At most one of the two; with neither, the only tunnel that runs here is meant. */
export interface Target {
  readonly name?: string | undefined
  /** The path of its socket, for a tunnel that was started with one of its own. */
  readonly socket?: string | undefined
}

/**
 * The tunnel that is meant, if it runs.
 *
 * @throws {@link ZPortalError} `ZP_OPTION` when several could be meant.
 */
export async function lookFor({ name, socket }: Target, env: NodeJS.ProcessEnv): Promise<Found | undefined> {
  if (name !== undefined && socket !== undefined) {
    throw new ZPortalError('ZP_OPTION', `either NAME or --socket, got both: ${name} and ${socket}`)
  }
  if (socket !== undefined) return lookAt(socket)
  if (name !== undefined) return find(name, env)
  const all = await findAll(env)
  if (all.length > 1) {
    const names = all.map((found) => found.name).join(', ')
    throw new ZPortalError('ZP_OPTION', `which tunnel? Name one of the ${all.length} that run here: ${names}`)
  }
  return all[0]
}

/**
 * The same, for those who cannot go on without it.
 *
 * @throws {@link ZPortalError} also `ZP_NOT_RUNNING`, or why a tunnel that runs gives no answer.
 */
export async function running(target: Target, env: NodeJS.ProcessEnv): Promise<Found> {
  const found = await lookFor(target, env)
  if (found === undefined) throw notRunning(target)
  if (found.failure !== undefined) throw found.failure
  return found
}

export function notRunning({ name, socket }: Target): ZPortalError {
  const sentence =
    socket !== undefined
      ? `no tunnel answers at ${socket}`
      : name !== undefined
        ? `no tunnel ${JSON.stringify(name)} runs in this network namespace; zportal status lists what does`
        : 'no tunnel runs in this network namespace'
  return new ZPortalError('ZP_NOT_RUNNING', sentence)
}

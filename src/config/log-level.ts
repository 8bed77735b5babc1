/** How much `zportal up` tells: the one setting that is the command's own and no option of the API. */

import { ZPortalError } from '../errors.js'
import type { TunnelOptions } from '../tunnel-options.js'
import { describe } from '../option-fields.js'

export const LOG_LEVELS = ['info', 'warn', 'error'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * Takes the level out of the options that settings ask for.
 *
 * @throws {@link ZPortalError} `ZP_OPTION`.
 */
export function takeLogLevel(asked: TunnelOptions): { logLevel: LogLevel; options: TunnelOptions } {
  const { logLevel = 'info', ...options } = asked as TunnelOptions & { logLevel?: unknown }
  if (!isLogLevel(logLevel)) {
    const message = `must be ${LOG_LEVELS.join(', ')}, got ${describe(logLevel)}`
    throw new ZPortalError('ZP_OPTION', `logLevel ${message}`, { problems: [{ option: 'logLevel', message }] })
  }
  return { logLevel, options }
}

function isLogLevel(value: unknown): value is LogLevel {
  return LOG_LEVELS.some((level) => level === value)
}

/** Reads a config again while its tunnel runs: what can change takes effect, and what cannot is named. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Reloaded } from '../control/serve.js'
import { ZPortalError } from '../errors.js'
import { failureLines } from '../face/failure.js'
import type { ParsedOptions } from '../options.js'
import type { TunnelOptions } from '../tunnel-options.js'
import { parseOptions } from '../options.js'
import type { LogLevel } from './log-level.js'
import { takeLogLevel } from './log-level.js'
import type { Request } from './request.js'
import type { Live } from './settings.js'
import { SETTINGS } from './settings.js'

/** Options that are known to be right. */
export interface Sound {
  /** As they were asked for. */
  readonly asked: TunnelOptions
  readonly parsed: ParsedOptions
  readonly logLevel: LogLevel
}

/** What can be changed of a tunnel, in two kinds: what the shell keeps, and what the core does. */
export interface Changing {
  /** Whether it dials or listens. */
  readonly role: ParsedOptions['role']
  changeShell(next: ParsedOptions): void
  /** @throws {@link ZPortalError}; then nothing has changed. */
  changeCore(next: ParsedOptions): void
}

/** Settings by name, as they can be compared: equal values are equal text. */
type Values = Readonly<Record<string, string | undefined>>

/**
 * A function that reads again and applies. `read` gives all options of a new start, or throws what is wrong with them;
 * then nothing changes.
 */
export function reloader(
  begun: TunnelOptions,
  read: () => Promise<Sound>,
  setLogLevel: (level: LogLevel) => void,
): (tunnel: Changing) => Promise<Reloaded> {
  let holding = valuesOf(begun)
  return async (tunnel) => {
    const { asked, parsed, logLevel } = await read()
    const wanted = valuesOf(asked)
    const differing = Object.keys(SETTINGS).filter((key) => holding[key] !== wanted[key])
    // An end that is to become the other one keeps its way until the restart that this takes.
    const isSameEnd = parsed.role === tunnel.role
    const live = new Map(differing.map((key) => [key, liveFor(key, tunnel.role, isSameEnd)]))
    const of = (...kinds: (Live | undefined)[]) => differing.filter((key) => kinds.includes(live.get(key)))
    if (of('routes', 'dial', 'door', 'session').length > 0) tunnel.changeCore(parsed)
    if (of('shell').length > 0) tunnel.changeShell(parsed)
    setLogLevel(logLevel)
    const restart = of(undefined)
    const kept = Object.fromEntries(restart.map((key) => [key, holding[key]]))
    holding = { ...wanted, ...kept }
    return { applied: of('shell', 'routes', 'door'), next: of('dial', 'session'), restart }
  }
}

/** How a setting takes effect at such an end; undefined when it takes a restart. */
function liveFor(key: string, role: ParsedOptions['role'], isSameEnd: boolean): Live | undefined {
  const live = SETTINGS[key]?.live
  if (live === 'shell') return live
  if (!isSameEnd || (live === 'dial' && role === 'server') || (live === 'door' && role === 'client')) return undefined
  return live
}

/**
 * All options of a request, once they are known to be right.
 *
 * @throws {@link ZPortalError} with every option called as it was written.
 */
export function soundOptions({ options: asked, nameOf }: Pick<Request, 'options' | 'nameOf'>): Sound {
  try {
    const { logLevel, options } = takeLogLevel(asked)
    return { asked, parsed: parseOptions(options), logLevel }
  } catch (error) {
    if (!(error instanceof ZPortalError)) throw error
    const sentences = failureLines(error, nameOf)
      .trimEnd()
      .replace(/^ZP_\w+: /gm, '')
    throw new ZPortalError(error.code, sentences.replaceAll('\n', '; '))
  }
}

function valuesOf(options: TunnelOptions): Values {
  return Object.fromEntries(
    Object.entries(SETTINGS).map(([key, { option }]) => {
      const value = option.split('.').reduce<unknown>((outer, name) => (outer as Fields | undefined)?.[name], options)
      // The passwords are the file's content: they change with it.
      const more = key === 'proxy-password-file' && typeof value === 'string' ? digestOf(value) : ''
      return [key, value === undefined ? undefined : JSON.stringify(value) + more]
    }),
  )
}

type Fields = Readonly<Record<string, unknown>>

function digestOf(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  } catch {
    // Whoever reads the options says so.
    return ''
  }
}

/** Reads a config again while its tunnel runs: what can change takes effect, and what cannot is named. */

import type { Reloaded } from '../control/serve.js'
import { ZPortalError } from '../errors.js'
import { failureLines } from '../face/failure.js'
import { parseOptions } from '../options.js'
import { takeLogLevel } from './log-level.js'
import type { Request } from './request.js'
import type { Settings } from './settings.js'
import { SETTINGS } from './settings.js'

/** The values of settings that hold, by name, secrets included. */
export type Holding = Readonly<Record<string, unknown>>

/** How a setting takes effect while the tunnel runs. */
export type Live = Readonly<Record<string, (value: unknown) => void>>

/**
 * A function that reads again and applies. `read` gives all options of a new start, or throws what is wrong with them;
 * then nothing changes.
 */
export function reloader(now: Holding, read: () => Promise<Holding>, live: Live): () => Promise<Reloaded> {
  const holding = { ...now }
  return async () => {
    const wanted = await read()
    const differing = Object.entries(SETTINGS).filter(([, { option }]) => !isSame(holding[option], wanted[option]))
    const applied: string[] = []
    const restart: string[] = []
    for (const [key, { option }] of differing) {
      const apply = Object.hasOwn(live, key) ? live[key] : undefined
      if (apply === undefined) {
        restart.push(key)
      } else {
        apply(wanted[option])
        holding[option] = wanted[option]
        applied.push(key)
      }
    }
    return { applied, restart }
  }
}

/**
 * All options of a request, once they are known to be right.
 *
 * @throws {@link ZPortalError} with every option called as it was written.
 */
export function soundOptions({ options, nameOf }: Pick<Request, 'options' | 'nameOf'>): Holding {
  try {
    parseOptions(takeLogLevel(options).options)
    return { ...options }
  } catch (error) {
    if (!(error instanceof ZPortalError)) throw error
    const sentences = failureLines(error, nameOf)
      .trimEnd()
      .replace(/^ZP_\w+: /gm, '')
    throw new ZPortalError(error.code, sentences.replaceAll('\n', '; '))
  }
}

/** Settings are strings, numbers, booleans and lists of strings. */
function isSame(one: Settings[string], other: Settings[string]): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

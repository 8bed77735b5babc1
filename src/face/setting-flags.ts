/** The flags of settings, for oclif. */

import type { Interfaces } from '@oclif/core'
import { Flags } from '@oclif/core'
import type { Setting } from '../config/settings.js'
import { SETTINGS } from '../config/settings.js'

/** A flag for every setting, under the setting's name. None has a default: what is left out may stand in a file. */
export function settingFlags(): Interfaces.FlagInput {
  return Object.fromEntries(Object.entries(SETTINGS).map(([name, setting]) => [name, flagOf(setting)]))
}

function flagOf({ kind, char, value, summary, fallback, otherwise }: Setting): Interfaces.FlagInput[string] {
  const omitted = otherwise ?? fallback
  const common = {
    summary: omitted === undefined ? summary : `${summary} [default: ${omitted}]`,
    ...(char === undefined ? {} : { char }),
    ...(value === undefined ? {} : { helpValue: value }),
  }
  switch (kind) {
    case 'text':
    case 'integer':
    case 'seconds':
    case 'bits':
    case 'optional':
      return Flags.string(common)
    case 'toggle-or-text':
      return Flags.string({ ...common, helpValue: `[${value ?? 'VALUE'}]` })
    case 'texts':
      return Flags.string({ ...common, multiple: true, multipleNonGreedy: true })
    case 'toggle':
      return Flags.boolean({ ...common, summary, allowNo: true })
  }
}

/**
 * The arguments with `--x=true` for each `--x` that may have a value and has none: the parser knows only flags that
 * always or never have one.
 */
export function withValues(args: readonly string[]): string[] {
  const optional = Object.keys(SETTINGS).filter((key) => SETTINGS[key]?.kind === 'toggle-or-text')
  return args.map((arg) => (optional.some((key) => arg === `--${key}`) ? `${arg}=true` : arg))
}

/** A config as people may see it: TOML that would mean the same, without secrets, and where each value comes from. */

import type { ConfigFile } from './file.js'
import { nameFrom } from './file.js'
import { redacted } from './secrets.js'
import { SETTINGS } from './settings.js'

/** One setting as it stands. */
export interface Shown {
  readonly key: string
  readonly value: unknown
  /** The place in the file, what else it follows from, or that it is the default. */
  readonly from: string
  readonly isDefault: boolean
}

/** Every setting that has a value, in the order of the settings. */
export function shown(file: ConfigFile): Shown[] {
  return Object.entries(SETTINGS).flatMap(([key, { fallback }]): Shown[] => {
    if (key in file.settings) {
      return [{ key, value: redacted(file.settings[key]), from: file.placeOf(key), isDefault: false }]
    }
    const name = key === 'name' ? nameFrom(file.path) : undefined
    if (name !== undefined) return [{ key, value: name, from: "the file's name", isDefault: false }]
    return fallback === undefined ? [] : [{ key, value: fallback, from: 'default', isDefault: true }]
  })
}

/** TOML; defaults are comments, because a default may not go with what else is set. */
export function toToml(settings: readonly Shown[]): string {
  const texts = settings.map(({ key, value, isDefault }) => `${isDefault ? '# ' : ''}${key} = ${tomlValue(value)}`)
  const width = Math.max(0, ...texts.map((text) => text.length))
  return settings.map(({ from }, index) => `${(texts[index] ?? '').padEnd(width)}  # ${from}\n`).join('')
}

/** Strings, numbers, booleans and arrays of them, which is all that settings have. JSON writes them as TOML does. */
function tomlValue(value: unknown): string {
  return Array.isArray(value)
    ? `[${value.map(tomlValue).join(', ')}]`
    : JSON.stringify(value).replace(/\u007f/g, '\\u007f')
}

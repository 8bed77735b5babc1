/** One config file: found, read, its shape checked. Everything wrong with it is told at once, each with its line. */

import { readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ZPortalError } from '../errors.js'
import { describe } from '../option-fields.js'
import { readShape } from './schema.js'
import { hasPlainPassword, placeOf, SecretError, withSecrets } from './secrets.js'
import type { Settings } from './settings.js'
import { SETTINGS } from './settings.js'
import { parseToml, TomlError } from './toml.js'

/** Where `zportal up NAME` looks for NAME.toml, unless `ZPORTAL_CONFIG_DIR` says otherwise. */
export const CONFIG_FOLDER = '/etc/zportal'

export interface ConfigFile {
  /** Its path as it was given or found. */
  readonly path: string
  /** The values as they are written: with references to secrets, not with secrets. */
  readonly settings: Settings
  /** `lab.toml:3`, for a setting or one element of its list. */
  placeOf(key: string, index?: number): string
  /**
   * The values with secrets in the place of their references.
   *
   * @throws {@link ZPortalError} `ZP_CONFIG` for every reference that leads nowhere.
   */
  resolved(env: NodeJS.ProcessEnv): Settings
  /** Sentences about what works and should be otherwise. */
  warnings(): string[]
}

/**
 * The path of the file that NAME stands for.
 *
 * @throws {@link ZPortalError} `ZP_CONFIG` when it is no name.
 */
export function pathOf(name: string, env: NodeJS.ProcessEnv): string {
  const folder = env['ZPORTAL_CONFIG_DIR'] ?? CONFIG_FOLDER
  if (!/^[\w][\w.-]*$/.test(name) || name.endsWith('.toml')) {
    const what = `a config is named by letters, digits, '-', '_' and '.', for ${folder}/NAME.toml`
    throw configError([`${what}; for a path write -f PATH; got ${describe(name)}`])
  }
  return join(folder, `${name}.toml`)
}

/** @throws {@link ZPortalError} `ZP_CONFIG` when it cannot be read, is no TOML, or has keys or values of another shape. */
export function readConfig(path: string): ConfigFile {
  const document = parse(path)
  const placeAt = (keys: readonly PropertyKey[]) => {
    const line = document.lineOf(keys)
    return line === undefined ? path : `${path}:${line}`
  }
  const { settings, problems } = readShape(document.value)
  if (problems.length > 0) throw configError(problems.map(({ path, message }) => `${placeAt(path)}: ${message}`))
  return {
    path,
    settings,
    placeOf: (key, index) => placeAt(index === undefined ? [key] : [key, index]),
    resolved: (env) => {
      const sentences: string[] = []
      const entries = Object.entries(settings).map(([key, value]) => {
        if (SETTINGS[key]?.isVerbatim === true) return [key, value]
        try {
          return [key, withSecrets(value, placeOf(path, env))]
        } catch (error) {
          if (!(error instanceof SecretError)) throw error
          sentences.push(`${placeAt([key])}: ${key} ${error.message}`)
          return [key, value]
        }
      })
      if (sentences.length > 0) throw configError(sentences)
      return Object.fromEntries(entries) as Settings
    },
    warnings: () => {
      const plain = Object.keys(settings).filter((key) => hasPlainPassword(settings[key]))
      if (plain.length === 0 || (statSync(path).mode & 0o077) === 0) return []
      const cure = `chmod 600 ${path}, or write \${file:…} or \${env:…} in its place`
      return plain.map((key) => `${placeAt([key])}: ${key} has a password that other users can read; ${cure}`)
    },
  }
}

/** The device's name when the file gives none: that of the file, where it can be one. */
export function nameFrom(path: string): string | undefined {
  const name = basename(path, '.toml')
  return /^[\w][\w.-]{0,14}$/.test(name) ? name : undefined
}

function parse(path: string): ReturnType<typeof parseToml> {
  try {
    return parseToml(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof TomlError) throw configError([`${path}:${error.line}:${error.column}: ${error.message}`])
    if (!(error instanceof Error && 'code' in error)) throw error
    const isMissing = error.code === 'ENOENT'
    throw configError(
      [isMissing ? `there is no config file ${path}` : `${path} cannot be read: ${error.message}`],
      error,
    )
  }
}

function configError(sentences: readonly string[], cause?: unknown): ZPortalError {
  const problems = sentences.map((message) => ({ option: '', message }))
  return new ZPortalError('ZP_CONFIG', sentences.join('; '), { problems, cause })
}

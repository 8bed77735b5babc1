/** What a command line asks for: the settings of a config file, if it names one, with its own flags in front of them. */

import { ZPortalError } from '../errors.js'
import type { TunnelOptions } from '../tunnel-options.js'
import type { NameOf } from '../face/failure.js'
import { PASSWORD_VARIABLE, withPasswordsOf } from '../face/proxy-passwords.js'
import type { ConfigFile } from './file.js'
import type { Settings } from './settings.js'
import { optionsFrom, settingOf, SETTINGS } from './settings.js'

/** Which config file, if any; at most one of the two. */
export interface Source {
  /** NAME of /etc/zportal/NAME.toml. */
  readonly config?: string | undefined
  /** The path of a file. */
  readonly file?: string | undefined
}

export interface Request {
  /** Right or wrong: only `openTunnel` can tell, so the type is a promise that it checks. */
  readonly options: TunnelOptions
  /** What the options were made of, without secrets. */
  readonly settings: Settings
  readonly file: ConfigFile | undefined
  /** How a message calls an option: the flag that was written, or the place in the file. */
  readonly nameOf: NameOf
}

/**
 * Reads the file, if there is one, and puts the flags in front of it.
 *
 * @throws {@link ZPortalError} `ZP_CONFIG`, or `ZP_OPTION` when two files are asked for.
 */
export async function request(
  flags: Settings,
  { config, file: path }: Source,
  env: NodeJS.ProcessEnv,
): Promise<Request> {
  const own = Object.fromEntries(Object.entries(flags).filter(([key, value]) => key in SETTINGS && value !== undefined))
  if (config === undefined && path === undefined) {
    return { options: toOptions(own, env), settings: own, file: undefined, nameOf: namer(own, undefined) }
  }
  if (config !== undefined && path !== undefined) {
    throw new ZPortalError('ZP_OPTION', `either CONFIG or --file, got both: ${config} and ${path}`)
  }
  // The parser and the schema are loaded by those only who use a file.
  const { nameFrom, pathOf, readConfig } = await import('./file.js')
  const file = readConfig(path ?? pathOf(config ?? '', env))
  const name = nameFrom(file.path)
  const below = name === undefined ? {} : { name }
  return {
    options: toOptions({ ...below, ...file.resolved(env), ...own }, env),
    settings: { ...below, ...file.settings, ...own },
    file,
    nameOf: namer(own, file),
  }
}

function toOptions(settings: Settings, env: NodeJS.ProcessEnv): TunnelOptions {
  const options: unknown = withPasswordsOf(env, optionsFrom(settings))
  return options as TunnelOptions
}

function namer(flags: Settings, file: ConfigFile | undefined): NameOf {
  return (option, use) => {
    const [, base = option, index] = /^([\w.]+)(?:\[(\d+)\])?$/.exec(option) ?? []
    if (base === 'proxyPasswords') return PASSWORD_VARIABLE
    const key = settingOf(base)
    if (key === undefined) return option
    if (file === undefined || key in flags || !(key in file.settings)) return `--${key}`
    const place = file.placeOf(key, index === undefined ? undefined : Number(index))
    return use === 'subject' ? `${place}: ${key}` : `${key} (${place})`
  }
}

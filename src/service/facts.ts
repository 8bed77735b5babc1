/** What a unit needs to know of a config and of this machine, and why a service could not work with it. */

import { constants, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { StreamAddress } from '../address.js'
import { parseStreamAddress } from '../address.js'
import { pathOf, readConfig } from '../config/file.js'
import type { Settings } from '../config/settings.js'
import { SETTINGS } from '../config/settings.js'
import { ZPortalError } from '../errors.js'
import { parseProxy } from '../proxy.js'
import { DEFAULT_HOOK_TIMEOUT_MS } from '../tunnel-options.js'
import type { UnitFacts } from './unit.js'
import { isPrivate } from './unit.js'

/** Where the credentials lie that a config refers to by name. */
const CREDENTIALS_FOLDER = 'credentials'
/** A reference of `config/secrets.ts` to a file, a credential or a variable. */
const REFERENCE = /\$\{(file|credential|env):([^}]*)\}/g

/**
 * @throws {@link ZPortalError} `ZP_CONFIG` for a config that is not there or wrong, `ZP_SERVICE` for what the service's
 * user could not reach.
 */
export function unitFacts(name: string, env: NodeJS.ProcessEnv): UnitFacts {
  const path = resolve(pathOf(name, env))
  const { settings } = readConfig(path)
  const text = (key: string) => (typeof settings[key] === 'string' ? settings[key] : undefined)
  const bind = text('bind')
  const listen = bind === undefined ? undefined : parseStreamAddress(bind, 0).value
  const config = { path, isPublic: isPublic(path) }
  const references = referencesOf(settings)
  refusePrivateFiles(config, references, text('proxy-password-file'))
  const node = realpathSync(process.execPath)
  const require = createRequire(import.meta.url)
  const packageFolder = realpathSync(dirname(require.resolve('zportal/package.json')))
  const program = join(packageFolder, 'bin', 'run.js')
  for (const file of [node, program]) refuseUnreachable(file)
  const socketPaths = socketPathsOf(settings)
  refusePrivate(socketPaths)
  return {
    name,
    version: (require('zportal/package.json') as { version: string }).version,
    node,
    program,
    packageFolder,
    config,
    role: bind === undefined ? 'client' : 'server',
    port: listen !== undefined && 'port' in listen ? listen.port : undefined,
    socketPaths,
    credentials: references
      .filter(({ kind, name: known }) => kind === 'credential' && !known.includes('/'))
      .map(({ name: known }) => ({ name: known, path: join(dirname(path), CREDENTIALS_FOLDER, known) })),
    hookSeconds:
      typeof settings['hook-timeout'] === 'number'
        ? Math.ceil(settings['hook-timeout'])
        : DEFAULT_HOOK_TIMEOUT_MS / 1000,
    hasHooks: Object.keys(settings).some((key) => key.startsWith('hook-')),
  }
}

/** Every Unix socket that is made or connected to. */
function socketPathsOf(settings: Settings): string[] {
  const texts = (key: string) => [settings[key] ?? []].flat().filter((value) => typeof value === 'string')
  const ends = ['bind', 'connect', 'tor'].flatMap(texts).map((end) => parseStreamAddress(end, 0).value)
  // A secret is none of the path, and as a reference it may have a slash.
  const proxies = texts('proxy').map((proxy) => parseProxy(proxy.replace(REFERENCE, 'secret')).value?.address)
  const isUnix = (address: StreamAddress | undefined) => address?.kind === 'unix'
  return [...[...ends, ...proxies].filter(isUnix).map(({ path }) => path), ...texts('control').filter(isAbsolute)]
}

/** What the config refers to, each once. In the user's own programs such words are the shell's. */
function referencesOf(settings: Settings): { kind: string; name: string }[] {
  const read = Object.entries(settings).filter(([key]) => SETTINGS[key]?.isVerbatim !== true)
  const found = JSON.stringify(read.map(([, value]) => value)).matchAll(REFERENCE)
  const each = new Map([...found].map(([whole, kind = '', name = '']) => [whole, { kind, name }]))
  return [...each.values()]
}

/** Everything that the service itself would have to read. */
function refusePrivateFiles(
  config: UnitFacts['config'],
  references: readonly { kind: string; name: string }[],
  passwordFile: string | undefined,
): void {
  const folder = dirname(config.path)
  const credentials = join(folder, CREDENTIALS_FOLDER)
  // A config that comes as a copy has left the folder that relative paths start from.
  const file = references.find(
    ({ kind, name }) => kind === 'file' && !(isPublic(resolve(folder, name)) && (config.isPublic || isAbsolute(name))),
  )?.name
  if (file !== undefined) {
    throw new ZPortalError(
      'ZP_SERVICE',
      `the service runs as a user who may not read ${file}, which ${config.path} refers to: move it to ${credentials} and write \${credential:NAME} in the place of \${file:…}`,
    )
  }
  // A service starts at the root.
  if (passwordFile !== undefined && !isPublic(resolve('/', passwordFile))) {
    throw new ZPortalError(
      'ZP_SERVICE',
      `the service runs as a user who may not read ${passwordFile}, the proxy-password-file of ${config.path}: move each password to a file in ${credentials} and write \${credential:NAME} behind the user in the proxy's URL`,
    )
  }
}

function refusePrivate(socketPaths: readonly string[]): void {
  const path = socketPaths.find(isPrivate)
  if (path === undefined) return
  const folder = path.startsWith('/tmp/') ? '/tmp' : '/var/tmp'
  throw new ZPortalError(
    'ZP_SERVICE',
    `a service has a ${folder} of its own, so nobody else would meet it at unix:${path}: choose another folder, such as /run/zportal`,
  )
}

/** The service cannot run a program that its user may not reach. */
function refuseUnreachable(file: string): void {
  const path = barrierTo(file)
  if (path === undefined) return
  throw new ZPortalError(
    'ZP_SERVICE',
    `the service runs as a user who may not reach ${file}, because of the mode of ${path}: install Node and zportal where every user can run them, as in /usr`,
  )
}

/** Every user can read the file, wherever it really lies. */
function isPublic(file: string): boolean {
  try {
    return barrierTo(realpathSync(file)) === undefined
  } catch {
    return false
  }
}

/** What keeps others from reading the file: itself, or a folder on the way. */
function barrierTo(file: string): string | undefined {
  for (let path = file; path !== '/'; path = dirname(path)) {
    const right = path === file ? constants.R_OK : constants.X_OK
    if ((statSync(path).mode & right) === 0) return path
  }
  return undefined
}

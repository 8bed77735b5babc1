/** What a unit needs to know of a config and of this machine, and why a service could not work with it. */

import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { parseStreamAddress } from '../address.js'
import { pathOf, readConfig } from '../config/file.js'
import { ZPortalError } from '../errors.js'
import { DEFAULT_HOOK_TIMEOUT_MS } from '../tunnel-options.js'
import type { UnitFacts } from './unit.js'
import { isPrivate } from './unit.js'

/** Where the credentials lie that a config refers to by name. */
const CREDENTIALS_FOLDER = 'credentials'

/**
 * @throws {@link ZPortalError} `ZP_CONFIG` for a config that is not there or wrong, `ZP_SERVICE` for what the service's
 * user could not reach.
 */
export function unitFacts(name: string, env: NodeJS.ProcessEnv): UnitFacts {
  const path = resolve(pathOf(name, env))
  const { settings } = readConfig(path)
  const text = (key: string) => (typeof settings[key] === 'string' ? settings[key] : undefined)
  const proxies = [settings['proxy'] ?? []].flat().filter((proxy) => typeof proxy === 'string')
  const bind = text('bind')
  const listen = bind === undefined ? undefined : parseStreamAddress(bind, 0).value
  const references = JSON.stringify(settings)
  refuseSecretFiles(path, references)
  const node = realpathSync(process.execPath)
  const require = createRequire(import.meta.url)
  const packageFolder = realpathSync(dirname(require.resolve('zportal/package.json')))
  const program = join(packageFolder, 'bin', 'run.js')
  for (const file of [node, program]) refuseUnreachable(file)
  const socketPaths = [bind, text('connect'), ...proxies].flatMap((address) => socketPath(address))
  refusePrivate(socketPaths)
  return {
    name,
    version: (require('zportal/package.json') as { version: string }).version,
    node,
    program,
    packageFolder,
    config: { path, isPublic: isPublic(path) },
    role: bind === undefined ? 'client' : 'server',
    port: listen !== undefined && 'port' in listen ? listen.port : undefined,
    socketPaths,
    credentials: [
      ...new Set([...references.matchAll(/\$\{credential:([^}/]+)\}/g)].map(([, known = '']) => known)),
    ].map((known) => ({ name: known, path: join(dirname(path), CREDENTIALS_FOLDER, known) })),
    hookSeconds:
      typeof settings['hook-timeout'] === 'number'
        ? Math.ceil(settings['hook-timeout'])
        : DEFAULT_HOOK_TIMEOUT_MS / 1000,
    hasHooks: Object.keys(settings).some((key) => key.startsWith('hook-')),
  }
}

/** The path in `unix:/path` and in `socks5+unix:/path`. */
function socketPath(address: string | undefined): string[] {
  const path = /^(?:[a-z0-9]+\+)?unix:(\/[^?]*)$/.exec(address ?? '')?.[1]
  return path === undefined ? [] : [path]
}

function refuseSecretFiles(path: string, references: string): void {
  const [, file] = /\$\{file:([^}]+)\}/.exec(references) ?? []
  if (file === undefined || isPublic(resolve(dirname(path), file))) return
  throw new ZPortalError(
    'ZP_SERVICE',
    `the service runs as a user who may not read ${file}, which ${path} refers to: move it to ${join(dirname(path), CREDENTIALS_FOLDER)} and write \${credential:NAME} in the place of \${file:…}`,
  )
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

/** Every user can read the file and enter the folders on the way. */
function refuseUnreachable(file: string): void {
  for (let path = file; path !== '/'; path = dirname(path)) {
    if ((statSync(path).mode & 0o005) === 0o005 || (path === file && isPublic(path))) continue
    throw new ZPortalError(
      'ZP_SERVICE',
      `the service runs as a user who may not reach ${file}, because of the mode of ${path}: install Node and zportal where every user can run them, as in /usr`,
    )
  }
}

function isPublic(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
  } catch {
    return false
  }
  return (statSync(path).mode & 0o004) !== 0
}

/**
 * Secrets stay out of config files: a string may say where a part of it is to be found. `${env:NAME}` is a variable of
 * the environment, `${file:PATH}` the first line of a file (a relative path starts at the config file's folder), and
 * `${credential:NAME}` a credential that systemd passed (`$CREDENTIALS_DIRECTORY`).
 */

import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { withoutPasswords } from '../redact.js'

/** Where a reference is looked up. */
export interface Place {
  /** Folder that relative paths start from. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A reference that leads nowhere; a sentence that starts after the setting's name. */
export class SecretError extends Error {}

const REFERENCE = /\$\{([^}]*)\}/g
/** What is longer is no password, and probably the wrong file. */
const SECRET_MAX_CHARS = 4096

/** Where the references of this config file are looked up. */
export function placeOf(configFile: string, env: NodeJS.ProcessEnv): Place {
  return { folder: dirname(resolve(configFile)), env }
}

/**
 * The value with every reference replaced, in strings at any depth. Behind `://` a secret is percent-encoded, so that
 * any password may stand in a URL.
 *
 * @throws {@link SecretError}
 */
export function withSecrets(value: unknown, place: Place): unknown {
  if (Array.isArray(value)) return value.map((element) => withSecrets(element, place))
  if (typeof value !== 'string') return value
  const scheme = value.indexOf('://')
  return value.replace(REFERENCE, (_, reference: string, offset: number) => {
    const secret = lookUp(reference, place)
    return scheme !== -1 && offset > scheme ? encodeURIComponent(secret) : secret
  })
}

/** The value as it may be shown: references as they are written, passwords that stand in URLs as `***`. */
export function redacted<T>(value: T): T {
  if (Array.isArray(value)) return value.map(redacted) as T
  return (typeof value === 'string' ? withoutPasswords(value) : value) as T
}

/** Whether a password stands in it as it is. */
export function hasPlainPassword(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasPlainPassword)
  return redacted(value) !== value
}

function lookUp(reference: string, { folder, env }: Place): string {
  const colon = reference.indexOf(':')
  const [kind, name] = [reference.slice(0, Math.max(colon, 0)), reference.slice(colon + 1)]
  switch (kind) {
    case 'env': {
      const secret = env[name]
      if (secret === undefined) throw new SecretError(`needs the environment variable ${name}, which is not set`)
      return secret
    }
    case 'file':
      return firstLine(resolve(folder, name))
    case 'credential': {
      const credentials = env['CREDENTIALS_DIRECTORY']
      if (credentials === undefined) {
        throw new SecretError(`needs the credential ${name}, and $CREDENTIALS_DIRECTORY is not set (LoadCredential=)`)
      }
      if (name.includes('/')) throw new SecretError(`has a credential with a slash: ${JSON.stringify(name)}`)
      return firstLine(join(credentials, name))
    }
    default:
      throw new SecretError(
        `has \${${reference}}: a secret comes from \${env:NAME}, \${file:PATH} or \${credential:NAME}`,
      )
  }
}

function firstLine(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new SecretError(`needs a secret from a file that cannot be read: ${(error as Error).message}`)
  }
  const line = text.split(/\r?\n/, 1)[0] ?? ''
  if (line === '' || line.length > SECRET_MAX_CHARS) {
    throw new SecretError(`needs a secret of 1 to ${SECRET_MAX_CHARS} characters on the first line of ${path}`)
  }
  return line
}

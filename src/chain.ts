/**
 * From the options of an end that dials to the chain of proxies that it goes through: plain ones with their passwords,
 * then Tor.
 */

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Parsed, StreamAddress } from './address.js'
import { formatStreamAddress, localOnly } from './address.js'
import type { Proxy } from './proxy.js'
import { formatProxy, lacksPassword, passwordLines, withPasswords } from './proxy.js'
import { Secret } from './secret.js'

/** Where Debian's and most other Tors listen for SOCKS. */
export const DEFAULT_TOR = '127.0.0.1:9050'
/** A file of passwords is short; whatever is longer is another file. */
const PASSWORD_FILE_MAX_BYTES = 65_536

/** The options that make the chain, each sound by itself. */
export interface ChainOptions {
  readonly connect?: StreamAddress | undefined
  readonly proxies?: readonly Proxy[] | undefined
  readonly proxyPasswords?: readonly Secret[] | undefined
  readonly proxyPasswordFile?: readonly Secret[] | undefined
  readonly tor?: StreamAddress | undefined
  readonly torNewCircuit?: boolean | undefined
}

/** All proxies in their order. Calls `refuse` for each option that does not go with the others. */
export function chainOf(options: ChainOptions, refuse: (option: string, message: string) => void): Proxy[] {
  const { tor, torNewCircuit = false, proxyPasswordFile, proxyPasswords } = options
  if (torNewCircuit && tor === undefined) refuse('torNewCircuit', 'must go with `tor`')
  if (proxyPasswordFile !== undefined && proxyPasswords !== undefined) {
    refuse('proxyPasswordFile', 'must not go with `proxyPasswords`: one of them gives the passwords')
  }

  const plain = complete(options, refuse)
  const chain: Proxy[] = tor === undefined ? plain : [...plain, { kind: 'tor', address: tor }]
  refuseHops(options, chain, refuse)
  return chain.map((hop) => (hop.kind === 'tor' && !torNewCircuit ? { ...hop, login: isolation() } : hop))
}

/** The proxies with the passwords that are given beside them. */
function complete(
  { proxies = [], proxyPasswords, proxyPasswordFile }: ChainOptions,
  refuse: (option: string, message: string) => void,
): Proxy[] {
  const passwords = proxyPasswordFile ?? proxyPasswords
  if (passwords === undefined) {
    proxies.forEach((proxy, index) => {
      if (!lacksPassword(proxy)) return
      const cures = 'give one in the URL (USER: with nothing behind it for an empty one) or in `proxyPasswordFile`'
      refuse(`proxies[${index}]`, `must have a password for the user in ${formatProxy(proxy)}: ${cures}`)
    })
    return [...proxies]
  }
  const { value, refused } = withPasswords(proxies, passwords)
  if (refused !== undefined) refuse(proxyPasswordFile === undefined ? 'proxyPasswords' : 'proxyPasswordFile', refused)
  return value ?? [...proxies]
}

/** Hops that cannot be reached from the hop before them, whatever the network does. */
function refuseHops(
  { connect }: ChainOptions,
  chain: readonly Proxy[],
  refuse: (option: string, message: string) => void,
): void {
  const hops = chain.map((proxy, index) => ({
    option: proxy.kind === 'tor' ? 'tor' : `proxies[${index}]`,
    address: proxy.address,
    got: formatProxy(proxy),
  }))
  if (connect !== undefined) {
    hops.push({ option: 'connect', address: connect, got: formatStreamAddress(connect) })
  }
  hops.forEach(({ option, address, got }, index) => {
    const why = index === 0 ? undefined : localOnly(address)
    if (why !== undefined) refuse(option, `must be a TCP address behind a proxy: ${why}, got "${got}" (string)`)
    // RFC 7686: names in .onion are nobody's to look up but Tor's.
    if (index === 0 && 'host' in address && /\.onion\.?$/i.test(address.host)) {
      refuse(option, `must be reached through Tor, because it ends in .onion: add \`tor\`, got "${got}" (string)`)
    }
  })
}

/** Tor keeps streams with different credentials on different circuits (IsolateSOCKSAuth of tor(1)). */
function isolation(): { user: Secret; password: Secret } {
  return { user: new Secret('zportal'), password: new Secret(randomBytes(16).toString('hex')) }
}

/** Reads a file with one password a line. */
export function readPasswordFile(path: string): Parsed<Secret[]> {
  try {
    const text = readFileSync(path)
    if (text.length > PASSWORD_FILE_MAX_BYTES) {
      return { refused: `must be a file of at most ${PASSWORD_FILE_MAX_BYTES} bytes with one password a line` }
    }
    return { value: passwordLines(text.toString('utf8')) }
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return { refused: `must be a file with one password a line that can be read (${why})` }
  }
}

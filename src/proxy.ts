/**
 * Proxies as people write them: a URL, or an address alone, which has always meant SOCKS5.
 *
 *     192.0.2.1:1080   unix:/run/socks   unixa:socks                     SOCKS5 without a password
 *     socks5://alice:sesame@proxy.example:1080                           SOCKS5 (RFC 1928, RFC 1929); socks5h is the same
 *     http://alice:sesame@proxy.example:3128                             HTTP CONNECT (RFC 9110), Basic (RFC 7617)
 *     socks5+unix:/run/socks   http+unix://alice:sesame@/run/proxy       over a Unix socket; also +unixa
 *
 * Names and passwords are percent-decoded (RFC 3986), paths are not. A URL with a user and no password takes it from the
 * passwords that are given beside the proxies, which is how it stays out of the process list.
 */

import type { Parsed, StreamAddress } from './address.js'
import { formatStreamAddress, parseStreamAddress } from './address.js'
import { redact } from './redact.js'
import { Secret } from './secret.js'

export type ProxyKind = 'socks5' | 'http' | 'tor'

/** A proxy on the way. */
export interface Proxy {
  readonly kind: ProxyKind
  readonly address: StreamAddress
  /** Who we are there. A Tor without it is given random credentials at each dial, for a circuit of its own. */
  readonly login?: Login | undefined
}

export interface Login {
  readonly user: Secret
  /** Undefined while it is still to come from beside the URL. */
  readonly password: Secret | undefined
}

const FORMS =
  'socks5://[USER[:PASSWORD]@]HOST:PORT, http://[USER[:PASSWORD]@]HOST:PORT, socks5+unix:/path, http+unix:/path, ' +
  'or an address alone, which means SOCKS5'

/** RFC 1929 has one byte for each length. */
const SOCKS5_LOGIN_MAX_BYTES = 255
/** What servers take in one header, with room for its name and Base64. */
const HTTP_LOGIN_MAX_BYTES = 4096

/** Reads one proxy. No refusal repeats what was written: it may hold a password. */
export function parseProxy(text: string): Parsed<Proxy> {
  const url = /^(socks5h?|http)(?::\/\/|\+(unixa?):)(.*)$/is.exec(text)
  if (url !== null) {
    const [, scheme = '', unix, rest = ''] = url
    const kind = scheme.toLowerCase() === 'http' ? 'http' : 'socks5'
    return unix === undefined ? parseOverTcp(kind, rest) : parseOverUnix(kind, unix.toLowerCase(), rest)
  }
  if (/^https:\/\//i.test(text))
    return { refused: 'must be without TLS: https:// to a proxy is not spoken, http:// is' }
  if (text.includes('://')) return { refused: `must be ${FORMS}` }
  if (text.includes('@') && !/^unixa?:/.test(text)) {
    return { refused: 'must be a URL if it has a user, such as socks5://USER:PASSWORD@HOST:PORT' }
  }
  const address = parseStreamAddress(text, 1)
  return address.refused === undefined ? { value: { kind: 'socks5', address: address.value } } : address
}

/** The proxy as a URL without user and password, as the core's messages have it too. */
export function formatProxy({ kind, address }: Pick<Proxy, 'kind' | 'address'>): string {
  const text = formatStreamAddress(address)
  return address.kind === 'unix' || address.kind === 'unixa' ? `${kind}+${text}` : `${kind}://${text}`
}

/** What may be shown of a proxy as it was written. */
export function showProxy(text: string): string {
  const { value } = parseProxy(text)
  return value === undefined ? redact(text) : formatProxy(value)
}

/** Whether its password has to come from beside the URL. */
export function lacksPassword({ login }: Proxy): boolean {
  return login !== undefined && login.password === undefined
}

/** Gives each proxy that lacks its password the next one; why not, if they are not as many. */
export function withPasswords(proxies: readonly Proxy[], passwords: readonly Secret[]): Parsed<Proxy[]> {
  const wanting = proxies.filter(lacksPassword)
  const missing = wanting[passwords.length]
  if (missing !== undefined) {
    return { refused: `must have a password for ${formatProxy(missing)}, whose URL names a user without one` }
  }
  if (passwords.length > wanting.length) {
    return { refused: `must not be more than the ${wanting.length} proxies whose URLs name a user without a password` }
  }
  let next = 0
  const complete = proxies.map((proxy) => {
    if (!lacksPassword(proxy) || proxy.login === undefined) return proxy
    return { ...proxy, login: { ...proxy.login, password: passwords[next++] } }
  })
  const tooLong = complete.find((proxy) => loginProblem(proxy) !== undefined)
  return tooLong === undefined ? { value: complete } : { refused: loginProblem(tooLong) ?? '' }
}

/** One password a line; the end of the last line is not a password of its own. */
export function passwordLines(text: string): Secret[] {
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => new Secret(line))
}

function parseOverTcp(kind: 'socks5' | 'http', rest: string): Parsed<Proxy> {
  const at = rest.lastIndexOf('@')
  // Environment variables for proxies commonly end in a slash.
  const host = rest.slice(at + 1).replace(/\/$/, '')
  if (host.startsWith('/') || /^unixa?:/.test(host)) {
    return { refused: `must name a Unix socket as ${kind}+unix:/path or ${kind}+unix://USER:PASSWORD@/path` }
  }
  if (/[/?#]/.test(host)) return { refused: `must have nothing behind the port: ${FORMS}` }
  const address = parseStreamAddress(host, 1)
  if (address.refused !== undefined) return address
  return withLogin({ kind, address: address.value }, at === -1 ? undefined : rest.slice(0, at))
}

function parseOverUnix(kind: 'socks5' | 'http', unix: string, rest: string): Parsed<Proxy> {
  // Behind two slashes may stand who we are: a path begins at the next slash, an abstract name behind the last @.
  const authority = unix === 'unix' ? /^\/\/(?:([^/]*)@)?(\/.*)$/s.exec(rest) : /^\/\/(?:(.*)@)?(.*)$/s.exec(rest)
  if (authority === null && rest.startsWith('//')) {
    return { refused: `must have a path from the root behind the user, as in ${kind}+unix://USER:PASSWORD@/path` }
  }
  const name = authority?.[2] ?? rest
  const address = parseStreamAddress(`${unix}:${name}`, 1)
  if (address.refused !== undefined) return address
  return withLogin({ kind, address: address.value }, authority?.[1])
}

function withLogin(proxy: Proxy, userinfo: string | undefined): Parsed<Proxy> {
  if (userinfo === undefined) return { value: proxy }
  const colon = userinfo.indexOf(':')
  const user = decode(colon === -1 ? userinfo : userinfo.slice(0, colon))
  const password = colon === -1 ? undefined : decode(userinfo.slice(colon + 1))
  if (user === null || password === null) {
    return { refused: 'must have %, /, ? and # in user and password percent-encoded, as in p%2Fw for p/w' }
  }
  const login = { user: new Secret(user), password: password === undefined ? undefined : new Secret(password) }
  const complete = { ...proxy, login }
  const refused = loginProblem(complete)
  return refused === undefined ? { value: complete } : { refused }
}

/** Why the protocol cannot carry the login, without repeating it; undefined when it can. */
function loginProblem({ kind, login }: Proxy): string | undefined {
  if (login === undefined) return undefined
  const [user, password] = [login.user.reveal(), login.password?.reveal() ?? '']
  const [userBytes, passwordBytes] = [Buffer.byteLength(user), Buffer.byteLength(password)]
  if (userBytes === 0) return 'must have a user before the @'
  if (kind !== 'http') {
    return userBytes > SOCKS5_LOGIN_MAX_BYTES || passwordBytes > SOCKS5_LOGIN_MAX_BYTES
      ? `must have a user and a password of at most ${SOCKS5_LOGIN_MAX_BYTES} bytes each, which is what SOCKS5 carries`
      : undefined
  }
  if (user.includes(':')) return 'must have a user without colon: HTTP Basic could not tell it from the password'
  if (/\p{Cc}/u.test(user + password)) return 'must have a user and a password without control characters'
  return userBytes + passwordBytes > HTTP_LOGIN_MAX_BYTES
    ? `must have a user and a password of at most ${HTTP_LOGIN_MAX_BYTES} bytes together`
    : undefined
}

function decode(text: string): string | null {
  if (/[/?#]/.test(text)) return null
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

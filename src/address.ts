/**
 * Addresses as people write them, read into values that cannot be wrong.
 *
 * Every function is total: it returns the value, or a sentence that says what is accepted. None resolves a name, opens a
 * socket or looks at the machine, so the same text always gives the same answer.
 */

import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { domainToASCII } from 'node:url'

/** A value, or why there is none: a sentence that starts after the option's name. */
export type Parsed<T> =
  { readonly value: T; readonly refused?: never } | { readonly value?: never; readonly refused: string }

/** Bytes in `sockaddr_un.sun_path` that a name can take: 108 with the byte that ends a path or starts an abstract name. */
export const UNIX_NAME_MAX_BYTES = 107
/** RFC 1035: 255 bytes on the wire, which leaves 253 characters. SOCKS5 could carry two more. */
const HOST_NAME_MAX_CHARS = 253
/** Underscores are no host names by the letter of RFC 1123, and are common in practice. */
const HOST_LABEL = /^[a-z0-9_-]{1,63}$/i
/** What an IPv6 zone names (RFC 4007): an interface, or its number. */
const ZONE = /^[!-~]{1,15}$/

/** Where a stream can start or end. */
export type StreamAddress =
  | { readonly kind: 'tcp4' | 'tcp6' | 'name'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'unixa'; readonly name: string }

/** A TCP address that only this machine can reach. */
export interface LoopbackAddress {
  readonly host: string
  readonly port: number
}

/** An address of the TUN device with the length of its network prefix. */
export interface InnerAddress {
  readonly family: 4 | 6
  /** In the one canonical spelling, so that equal addresses are equal strings. */
  readonly address: string
  readonly prefixBits: number
}

const STREAM_FORMS = '192.0.2.1:7000, [2001:db8::1]:7000, host.example:7000, unix:/path or unixa:name'
const INNER_FORMS = 'an address with its prefix length, such as 10.10.0.1/24 or fd00::1/64'

/** Reads an address to dial (port 1 to 65535) or, with `lowestPort` 0, to listen on (0: any free port). */
export function parseStreamAddress(text: string, lowestPort: 0 | 1): Parsed<StreamAddress> {
  if (text.startsWith('unix:')) return parseUnix('unix', text.slice('unix:'.length))
  if (text.startsWith('unixa:')) return parseUnix('unixa', text.slice('unixa:'.length))

  if (text.includes('://')) return { refused: `must be an address, not a URL: ${STREAM_FORMS}` }
  if (text.startsWith('/')) return { refused: `must be a Unix socket as unix:${text}, if that is what is meant` }
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(text)
  if (bracketed !== null) return parseBracketed(bracketed[1] ?? '', bracketed[2] ?? '', lowestPort)
  if (isIPv6(text) || text.startsWith('[')) {
    return { refused: 'must have an IPv6 address in brackets and a port behind it, such as [2001:db8::1]:7000' }
  }
  const colon = text.lastIndexOf(':')
  if (colon === -1) return { refused: `must have a port: ${STREAM_FORMS}` }
  const host = text.slice(0, colon)
  if (host === '' || host === '*') {
    return {
      refused:
        lowestPort === 0
          ? 'must name an address: 0.0.0.0:PORT or [::]:PORT listens on all of them'
          : `must name a host: ${STREAM_FORMS}`,
    }
  }
  const port = parsePort(text.slice(colon + 1), lowestPort)
  if (port.refused !== undefined) return port
  if (isIPv4(host)) return { value: { kind: 'tcp4', host, port: port.value } }
  const name = parseHostName(host)
  return name.refused === undefined ? { value: { kind: 'name', host: name.value, port: port.value } } : name
}

/** Why this address means something on this machine only, so that no proxy could reach it; undefined when one could. */
export function localOnly(address: StreamAddress): string | undefined {
  if (address.kind === 'unix' || address.kind === 'unixa') return 'none can name a Unix socket'
  return address.host.includes('%') ? 'the zone names an interface of this machine' : undefined
}

/** The text that {@link parseStreamAddress} reads back into an equal value. */
export function formatStreamAddress(address: StreamAddress): string {
  switch (address.kind) {
    case 'unix':
      return `unix:${address.path}`
    case 'unixa':
      return `unixa:${address.name}`
    case 'tcp6':
      return `[${address.host}]:${address.port}`
    case 'tcp4':
    case 'name':
      return `${address.host}:${address.port}`
  }
}

/** Reads `10.10.0.1/24` or `fd00::1/64`. */
export function parseInnerAddress(text: string): Parsed<InnerAddress> {
  const prefixed = parsePrefixed(text, INNER_FORMS, { 4: 24, 6: 64 })
  if (prefixed.refused !== undefined) return prefixed
  const { family, address } = prefixed.value
  const multicast = family === 4 ? Number(address.split('.')[0]) >= 224 : address.startsWith('ff')
  if (multicast || address === '0.0.0.0' || address === '::') {
    return { refused: 'must be the address of one host: neither unspecified nor multicast' }
  }
  return prefixed
}

/** Reads an address with a prefix length, whatever they mean; `forms` and `examples` are for the refusal. */
export function parsePrefixed(
  text: string,
  forms: string,
  examples: Readonly<Record<4 | 6, number>>,
): Parsed<InnerAddress> {
  const [host = '', prefixText, ...rest] = text.split('/')
  const family = isIPv4(host) ? 4 : isIPv6(host) && !host.includes('%') ? 6 : undefined
  if (family === undefined || rest.length > 0) return { refused: `must be ${forms}` }
  const longest = family === 4 ? 32 : 128
  if (prefixText === undefined) {
    return { refused: `must end in a prefix length, such as ${host}/${examples[family]}` }
  }
  if (!/^\d{1,3}$/.test(prefixText) || Number(prefixText) > longest) {
    return { refused: `must have a prefix length from 0 to ${longest}` }
  }
  return { value: { family, address: family === 4 ? host : canonicalIpv6(host), prefixBits: Number(prefixText) } }
}

/** The text that {@link parseInnerAddress} reads back into an equal value. */
export function formatInnerAddress(inner: InnerAddress): string {
  return `${inner.address}/${inner.prefixBits}`
}

/** Reads a network, `192.0.2.0/24` or `2001:db8::/32`; an address alone is a network of one. */
export function parseNetwork(text: string): Parsed<InnerAddress> {
  const [host = '', prefixText, ...rest] = text.split('/')
  const family = isIPv4(host) ? 4 : isIPv6(host) && !host.includes('%') ? 6 : undefined
  if (family === undefined || rest.length > 0) {
    return { refused: 'must be a network such as 192.0.2.0/24 or 2001:db8::/32, or one address' }
  }
  const longest = family === 4 ? 32 : 128
  const prefixBits = prefixText ?? String(longest)
  if (!/^\d{1,3}$/.test(prefixBits) || Number(prefixBits) > longest) {
    return { refused: `must have a prefix length from 0 to ${longest}` }
  }
  return { value: { family, address: family === 4 ? host : canonicalIpv6(host), prefixBits: Number(prefixBits) } }
}

function parseUnix(kind: 'unix' | 'unixa', name: string): Parsed<StreamAddress> {
  const bytes = Buffer.byteLength(name)
  if (bytes === 0 || bytes > UNIX_NAME_MAX_BYTES || name.includes('\0')) {
    const what = kind === 'unix' ? 'a path' : 'a name'
    return {
      refused: `must have ${what} of 1 to ${UNIX_NAME_MAX_BYTES} bytes without NUL behind ${kind}: (${bytes} bytes)`,
    }
  }
  return { value: kind === 'unix' ? { kind, path: name } : { kind, name } }
}

function parseBracketed(host: string, portText: string, lowestPort: 0 | 1): Parsed<StreamAddress> {
  const percent = host.indexOf('%')
  const address = percent === -1 ? host : host.slice(0, percent)
  const zone = percent === -1 ? undefined : host.slice(percent + 1)
  if (!isIPv6(address)) return { refused: 'must have an IPv6 address between the brackets' }
  const canonical = canonicalIpv6(address)
  if (zone !== undefined && !/^fe[89ab]/.test(canonical)) {
    return { refused: 'must be without a zone (%): only link-local addresses (fe80::/10) are meant on one interface' }
  }
  if (zone !== undefined && (!ZONE.test(zone) || /[/:%[\]]/.test(zone))) {
    return { refused: 'must have the name of an interface behind the %' }
  }
  const port = parsePort(portText, lowestPort)
  if (port.refused !== undefined) return port
  const named = zone === undefined ? canonical : `${canonical}%${zone}`
  return { value: { kind: 'tcp6', host: named, port: port.value } }
}

function parsePort(text: string, lowest: 0 | 1): Parsed<number> {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < lowest || port > 65_535) {
    return { refused: `must have a port from ${lowest} to 65535` }
  }
  return { value: port }
}

/** Checks the spelling only; international names become their ASCII form, which is what resolvers and proxies take. */
function parseHostName(host: string): Parsed<string> {
  const ascii = /^[\x20-\x7e]*$/.test(host) ? host : domainToASCII(host)
  const labels = ascii.replace(/\.$/, '').split('.')
  // No top-level domain is a number: what ends in one is a mistyped IPv4 address, or one that only C libraries read.
  if (/^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? ''))
    return { refused: 'must have four numbers from 0 to 255 as IPv4 address' }
  if (ascii.length > HOST_NAME_MAX_CHARS || !labels.every((label) => HOST_LABEL.test(label))) {
    return { refused: `must have a host name of letters, digits, hyphens and dots: ${STREAM_FORMS}` }
  }
  return { value: ascii }
}

export function canonicalIpv6(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address
}

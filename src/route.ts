/** Networks to route into the tunnel, as people write them. Pure, as `address.ts` is. */

import type { InnerAddress, Parsed } from './address.js'
import { canonicalIpv6, formatInnerAddress, parsePrefixed } from './address.js'

/** A network: `address` is its first one. */
export type Route = InnerAddress

const FORMS = 'a network with its prefix length, such as 10.0.0.0/8, fd00::/8 or 0.0.0.0/0 for everything'

/** Reads a network; bits behind its prefix are a mistake, because what was meant is not certain. */
export function parseRoute(text: string): Parsed<Route> {
  const prefixed = parsePrefixed(text, FORMS, { 4: 24, 6: 64 })
  if (prefixed.refused !== undefined) return prefixed
  const { family, address, prefixBits } = prefixed.value
  const width = family === 4 ? 32 : 128
  const behind = BigInt(width - prefixBits)
  const network = toText(family, (toBits(address) >> behind) << behind)
  if (network !== address)
    return { refused: `must not have bits behind its prefix: the network is ${network}/${prefixBits}` }
  const isMulticast = family === 4 ? Number(address.split('.')[0]) >= 224 : address.startsWith('ff')
  return isMulticast ? { refused: 'must not be a multicast network' } : { value: prefixed.value }
}

/** The text that {@link parseRoute} reads back into an equal value. */
export const formatRoute = formatInnerAddress

/** The bits of an address in canonical spelling. */
function toBits(address: string): bigint {
  if (!address.includes(':')) return group(address.split('.'), 8n, 10)
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').flatMap(hexGroups))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return group([...before, ...zeros, ...after], 16n, 16)
}

/** One group, or the two that a dotted end stands for. */
function hexGroups(text: string): string[] {
  if (!text.includes('.')) return [text]
  const bits = toBits(text)
  return [(bits >> 16n).toString(16), (bits & 0xffffn).toString(16)]
}

function group(parts: readonly string[], bits: bigint, radix: number): bigint {
  return parts.reduce((sum, part) => (sum << bits) | BigInt(Number.parseInt(part, radix)), 0n)
}

function toText(family: 4 | 6, bits: bigint): string {
  const [parts, width, radix] = family === 4 ? ([4, 8n, 10] as const) : ([8, 16n, 16] as const)
  const texts = Array.from({ length: parts }, (_, place) =>
    ((bits >> (width * BigInt(parts - 1 - place))) & ((1n << width) - 1n)).toString(radix),
  )
  return family === 4 ? texts.join('.') : canonicalIpv6(texts.join(':'))
}

/** ICMP echo over IPv4 (RFC 791, RFC 792) and IPv6 (RFC 8200, RFC 4443), as whole packets. */
import { isIPv4, isIPv6 } from 'node:net'

/** What an ICMP message has before its data, in both families. */
const ICMP_HEADER_BYTES = 8

interface Family {
  headerBytes: number
  protocol: number
  request: number
  reply: number
}

const IPV4: Family = { headerBytes: 20, protocol: 1, request: 8, reply: 0 }
const IPV6: Family = { headerBytes: 40, protocol: 58, request: 128, reply: 129 }

export interface Echo {
  kind: 'request' | 'reply'
  from: string
  to: string
  id: number
  sequence: number
  data: Buffer
}

/** The echo message in a packet; undefined when the packet is anything else, or a fragment. */
export function parseEcho(packet: Buffer): Echo | undefined {
  const family = familyOf(packet)
  if (!family || packet.length < family.headerBytes + ICMP_HEADER_BYTES) return undefined
  if (family === IPV4) {
    const isWholeIcmp = packet[0] === 0x45 && packet[9] === IPV4.protocol && (packet.readUInt16BE(6) & 0x3fff) === 0
    if (!isWholeIcmp) return undefined
  } else if (packet[6] !== IPV6.protocol) {
    return undefined
  }
  const message = packet.subarray(family.headerBytes)
  const type = message[0]
  if (type !== family.request && type !== family.reply) return undefined
  const [from, to] =
    family === IPV4 ? [slice(packet, 12, 4), slice(packet, 16, 4)] : [slice(packet, 8, 16), slice(packet, 24, 16)]
  return {
    kind: type === family.request ? 'request' : 'reply',
    from: textOf(from),
    to: textOf(to),
    id: message.readUInt16BE(4),
    sequence: message.readUInt16BE(6),
    data: Buffer.from(message.subarray(ICMP_HEADER_BYTES)),
  }
}

/** A packet with an echo message, checksums right. Both addresses are of one family. */
export function echoPacket({ kind, from, to, id, sequence, data }: Echo): Buffer {
  const family = isIPv4(from) ? IPV4 : IPV6
  const message = Buffer.alloc(ICMP_HEADER_BYTES + data.length)
  message[0] = family[kind]
  message.writeUInt16BE(id, 4)
  message.writeUInt16BE(sequence, 6)
  message.set(data, ICMP_HEADER_BYTES)
  const [source, destination] = [bytesOf(from), bytesOf(to)]
  if (family === IPV4) {
    message.writeUInt16BE(checksum(message), 2)
    const head = Buffer.alloc(IPV4.headerBytes)
    head[0] = 0x45
    head.writeUInt16BE(head.length + message.length, 2)
    head[8] = 64
    head[9] = IPV4.protocol
    head.set(source, 12)
    head.set(destination, 16)
    head.writeUInt16BE(checksum(head), 10)
    return Buffer.concat([head, message])
  }
  const pseudo = Buffer.alloc(8)
  pseudo.writeUInt32BE(message.length, 0)
  pseudo[7] = IPV6.protocol
  message.writeUInt16BE(checksum(Buffer.concat([source, destination, pseudo, message])), 2)
  const head = Buffer.alloc(IPV6.headerBytes)
  head[0] = 0x60
  head.writeUInt16BE(message.length, 4)
  head[6] = IPV6.protocol
  head[7] = 64
  head.set(source, 8)
  head.set(destination, 24)
  return Buffer.concat([head, message])
}

/** Whether two texts are the same address: `fd00::1` and `fd00:0::1` are. */
export function sameAddress(a: string, b: string): boolean {
  return bytesOf(a).equals(bytesOf(b))
}

function familyOf(packet: Buffer): Family | undefined {
  const version = (packet[0] ?? 0) >> 4
  return version === 4 ? IPV4 : version === 6 ? IPV6 : undefined
}

function slice(packet: Buffer, start: number, length: number): Buffer {
  return packet.subarray(start, start + length)
}

/** The Internet checksum (RFC 1071). */
export function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  if (!isIPv6(address)) throw new Error(`${address} is no IP address`)
  const [head = '', tail] = address.split('::')
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const [left, right] = [groups(head), groups(tail ?? '')]
  const words =
    tail === undefined ? left : [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff]))
}

function textOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':')
}

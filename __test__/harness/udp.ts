/** UDP datagrams (RFC 768) in whole IPv4 and IPv6 packets without options or extension headers. */
import { checksum } from './icmp.js'

const UDP = 17
const UDP_HEADER_BYTES = 8

export interface Datagram {
  port: number
  payload: Buffer
  /** Whether its checksum is that of its bytes. */
  isRight: boolean
}

/** The datagram in a packet; undefined when the packet is anything else, or a fragment, or not whole. */
export function parseDatagram(packet: Buffer): Datagram | undefined {
  const isIpv6 = (packet[0] ?? 0) >> 4 === 6
  const headerBytes = isIpv6 ? 40 : 20
  if (packet.length < headerBytes + UDP_HEADER_BYTES || packet[isIpv6 ? 6 : 9] !== UDP) return undefined
  const isWhole = isIpv6
    ? packet.readUInt16BE(4) === packet.length - headerBytes
    : packet[0] === 0x45 && packet.readUInt16BE(2) === packet.length && (packet.readUInt16BE(6) & 0x3fff) === 0
  const message = packet.subarray(headerBytes)
  if (!isWhole || message.readUInt16BE(4) !== message.length) return undefined
  const pseudo = Buffer.alloc(8)
  pseudo.writeUInt32BE(message.length, 0)
  pseudo[7] = UDP
  const addresses = isIpv6 ? packet.subarray(8, 40) : packet.subarray(12, 20)
  return {
    port: message.readUInt16BE(2),
    payload: message.subarray(UDP_HEADER_BYTES),
    // The sum over bytes with a right checksum among them is the complement of zero.
    isRight: checksum(Buffer.concat([addresses, pseudo, message])) === 0,
  }
}

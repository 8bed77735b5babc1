/**
 * What ends say to each other before and beside packets, written down from docs/WIRE.md a second time, so that the code
 * is not its own judge.
 */
import { checksum } from './icmp.js'

/** Flags of a frame. */
export const FLAG = { control: 1, vnet: 2 } as const

/** Features that an end announces. */
export const FEATURE = { vnet: 1, tso4: 2, tso6: 4, uso4: 8, uso6: 16, tsoEcn: 32, ping: 64, feedback: 128 } as const

/** Everything that version 1 announces. */
export const VERSION_1_FEATURES = 0x7f

/** A super-packet of 64 KiB behind its virtio_net_hdr. */
export const MAX_PAYLOAD_BYTES = 65_546

/** Kinds of control messages. */
export const KIND = { ping: 1, pong: 2, close: 3 } as const

/** Types of super-packets, at offset 1 of a virtio_net_hdr. */
export const GSO = { none: 0, tcpv4: 1, tcpv6: 4, udp: 5, ecn: 0x80 } as const

export const VNET_HEADER_BYTES = 10

const IP_HEADER_BYTES = 20
const HELLO_BYTES = 64
const TAG = Buffer.from('895a5048490d0a1a', 'hex')

const AT = { length: 2, ttl: 8, protocol: 9, checksum: 10, tag: 20, version: 28, mtu: 30, features: 32, largest: 36 }

export interface Hello {
  version: number
  mtuBytes: number
  features: number
  maxPayloadBytes: number
}

/** The session id of a scripted peer that is given no other. */
const SESSION_ID = Buffer.alloc(16, 0x5a)

/** A HELLO; `more` is what a newer version could have behind it, `sessionId` tells one tunnel from another. */
export function helloPacket(
  { version = 1, mtuBytes = 1400, features = VERSION_1_FEATURES, maxPayloadBytes = MAX_PAYLOAD_BYTES }: Partial<Hello>,
  more = Buffer.alloc(0),
  sessionId = SESSION_ID,
): Buffer {
  const packet = Buffer.alloc(HELLO_BYTES + more.length)
  packet[0] = 0x45
  packet.writeUInt16BE(packet.length, AT.length)
  packet[6] = 0x40 // Don't Fragment
  packet[AT.ttl] = 1
  packet[AT.protocol] = 253
  packet.set([127, 0, 0, 1, 127, 0, 0, 1], 12)
  packet.writeUInt16BE(checksum(packet.subarray(0, IP_HEADER_BYTES)), AT.checksum)
  packet.set(TAG, AT.tag)
  packet[AT.version] = version
  packet.writeUInt16BE(mtuBytes, AT.mtu)
  packet.writeUInt32BE(features, AT.features)
  packet.writeUInt32BE(maxPayloadBytes, AT.largest)
  packet.set(sessionId, 40)
  packet.set(more, HELLO_BYTES)
  return packet
}

/** The announcement in a packet; undefined when it is another packet. */
export function parseHello(packet: Buffer): Hello | undefined {
  if (packet.length < HELLO_BYTES || !packet.subarray(AT.tag, AT.tag + TAG.length).equals(TAG)) return undefined
  return {
    version: packet[AT.version] ?? 0,
    mtuBytes: packet.readUInt16BE(AT.mtu),
    features: packet.readUInt32BE(AT.features),
    maxPayloadBytes: packet.readUInt32BE(AT.largest),
  }
}

/** The same HELLO with other features. */
export function withFeatures(hello: Buffer, features: number): Buffer {
  const changed = Buffer.from(hello)
  changed.writeUInt32BE(features, AT.features)
  return changed
}

/** Where the parts of PING and PONG stand. */
const PING_AT = { sequence: 4, clock: 8, frames: 16, bytes: 24 }
const PING_BYTES = 32
const PONG_BYTES = 40

/** What an end has finished with, from the first frame after HELLO on, control messages not counted. */
export interface Finished {
  frames: number
  bytes: number
}

/** A PING; `more` is what a newer version could have behind it. */
export function pingMessage(sequence: number, more = Buffer.alloc(0)): Buffer {
  const message = Buffer.alloc(PING_BYTES)
  message[0] = KIND.ping
  message.writeUInt32BE(sequence, PING_AT.sequence)
  return Buffer.concat([message, more])
}

/** The answer to a PING. */
export function pongMessage(ping: Buffer, finished: Finished): Buffer {
  const message = Buffer.alloc(PONG_BYTES)
  ping.copy(message, 0, 0, PING_AT.frames)
  message[0] = KIND.pong
  message.writeBigUInt64BE(BigInt(finished.frames), PING_AT.frames)
  message.writeBigUInt64BE(BigInt(finished.bytes), PING_AT.bytes)
  return message
}

/** The sequence number of a PONG; undefined when the message is another. */
export function pongSequence(message: Buffer): number | undefined {
  return message[0] === KIND.pong && message.length >= PONG_BYTES ? message.readUInt32BE(PING_AT.sequence) : undefined
}

/** The reason of a CLOSE; undefined when the message is another. */
export function closeReason(message: Buffer): number | undefined {
  return message[0] === KIND.close ? message.readUInt16BE(2) : undefined
}

/** A CLOSE with any reason and text. */
export function closeMessage(reason: number, text: string): Buffer {
  const said = Buffer.from(text)
  const message = Buffer.alloc(6 + said.length)
  message[0] = KIND.close
  message.writeUInt16BE(reason, 2)
  message.writeUInt16BE(said.length, 4)
  message.set(said, 6)
  return message
}

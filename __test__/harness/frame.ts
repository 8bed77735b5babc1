/**
 * Frames as the original zportald writes and reads them: a header of four big-endian u32 (magic,
 * flags, payload bytes, CRC32C of the payload), then the payload.
 */
import { crc32c } from './crc32c.js'

export const HEADER_BYTES = 16
export const MAGIC = 0x5a505254

export interface Header {
  magic: number
  flags: number
  sizeBytes: number
  crc: number
}

/** A frame around a payload; `wrong` replaces fields of its header, for the frames that must be refused. */
export function frame(payload: Uint8Array, wrong: Partial<Header> = {}): Buffer {
  const { magic, flags, sizeBytes, crc } = {
    ...{ magic: MAGIC, flags: 0, sizeBytes: payload.length, crc: crc32c(payload) },
    ...wrong,
  }
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length)
  ;[magic, flags, sizeBytes, crc].forEach((value, index) => bytes.writeUInt32BE(value, index * 4))
  bytes.set(payload, HEADER_BYTES)
  return bytes
}

export function header(bytes: Buffer): Header {
  return {
    magic: bytes.readUInt32BE(0),
    flags: bytes.readUInt32BE(4),
    sizeBytes: bytes.readUInt32BE(8),
    crc: bytes.readUInt32BE(12),
  }
}

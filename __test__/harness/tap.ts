/**
 * A wire between two ends that somebody listens to: it passes the bytes on and notes every frame. It can change the
 * first frame of each direction, which is where ends learn what the other can.
 *
 * It lives in the test's own process, between two Unix sockets with paths, which no network namespace confines.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

import { frame, HEADER_BYTES, header, MAGIC } from './frame.js'
import { FLAG, GSO, VNET_HEADER_BYTES } from './hello.js'

/** A frame as it went by. */
export interface Passed {
  flags: number
  payloadBytes: number
  /** What its virtio_net_hdr says it is; undefined without one. */
  kind: VnetKind | undefined
}

/** `part`: a packet, its checksum mostly partial; the others are super-packets. */
export type VnetKind = 'part' | 'tcp4' | 'tcp6' | 'udp4' | 'udp6' | 'unknown'

/** What becomes of the first payload of a direction: another one, or nothing. */
export type ChangeFirst = (payload: Buffer) => Buffer | undefined

export class Tap implements AsyncDisposable {
  /** From the one who dialled, to whom it wanted. */
  readonly fromClient: Passed[] = []
  /** And back. */
  readonly fromServer: Passed[] = []
  readonly #server: Server
  readonly #sockets: Socket[] = []

  private constructor(to: string, changeFirst: ChangeFirst) {
    this.#server = createServer((client) => {
      const server = connect(to)
      this.#join(client, server, this.fromClient, changeFirst)
      this.#join(server, client, this.fromServer, changeFirst)
    })
  }

  /** Listens at the path `at`, and passes on to the path `to`. */
  static async between(at: string, to: string, changeFirst: ChangeFirst = (payload) => payload): Promise<Tap> {
    const tap = new Tap(to, changeFirst)
    tap.#server.listen(at)
    await once(tap.#server, 'listening')
    return tap
  }

  /** Every frame of both directions. */
  get passed(): Passed[] {
    return [...this.fromClient, ...this.fromServer]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(from: Socket, to: Socket, notes: Passed[], changeFirst: ChangeFirst): void {
    this.#sockets.push(from)
    const reader = new FrameReader((flags, payload, bytes) => {
      const kind = flags & FLAG.vnet ? vnetKind(payload) : undefined
      const isFirst = notes.push({ flags, payloadBytes: payload.length, kind }) === 1
      const changed = isFirst ? changeFirst(payload) : payload
      if (changed !== undefined) to.write(changed === payload ? bytes : frame(changed, { flags }))
    })
    // Whoever reads slowly is waited for, as on a real wire.
    from.on('data', (bytes) => {
      reader.push(bytes)
      if (to.writableNeedDrain) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
    from.on('end', () => to.end())
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
  }
}

/** Finds the frames in a stream, whose magic must be right: nothing else is looked at here. */
export class FrameReader {
  #pieces: Buffer[] = []
  #pendingBytes = 0
  #neededBytes = HEADER_BYTES
  readonly #onFrame: (flags: number, payload: Buffer, bytes: Buffer) => void

  /** `onFrame` gets each frame: its flags, its payload, and all of it as it came. */
  constructor(onFrame: (flags: number, payload: Buffer, bytes: Buffer) => void) {
    this.#onFrame = onFrame
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#pendingBytes += piece.length
    if (this.#pendingBytes < this.#neededBytes) return
    let rest = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces)
    this.#neededBytes = HEADER_BYTES
    while (rest.length >= HEADER_BYTES) {
      const { magic, flags, sizeBytes } = header(rest)
      if (magic !== MAGIC) throw new Error(`magic 0x${magic.toString(16)} on the wire`)
      const totalBytes = HEADER_BYTES + sizeBytes
      if (rest.length < totalBytes) {
        this.#neededBytes = totalBytes
        break
      }
      this.#onFrame(flags, rest.subarray(HEADER_BYTES, totalBytes), rest.subarray(0, totalBytes))
      rest = rest.subarray(totalBytes)
    }
    this.#pieces = rest.length > 0 ? [rest] : []
    this.#pendingBytes = rest.length
  }
}

/** What a virtio_net_hdr and the packet behind it say they are. */
export function vnetKind(payload: Buffer): VnetKind {
  const isIpv6 = (payload[VNET_HEADER_BYTES] ?? 0) >> 4 === 6
  // The bit beside says that the first segment carries CWR.
  switch ((payload[1] ?? 0) & ~GSO.ecn) {
    case GSO.none:
      return 'part'
    case GSO.tcpv4:
      return 'tcp4'
    case GSO.tcpv6:
      return 'tcp6'
    case GSO.udp:
      return isIpv6 ? 'udp6' : 'udp4'
    default:
      return 'unknown'
  }
}

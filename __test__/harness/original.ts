/**
 * A scripted peer that speaks as the original zportald 0.1.4 does, and dies where that dies.
 *
 * It sends flags 0 and ignores flags on receipt. It dies of a wrong magic, of size 0, of a payload
 * above its MTU, of a wrong CRC32C, and of a payload that its TUN would refuse (anything that is not
 * IPv4 or IPv6). It needs no TUN: it answers ICMP echo requests for its inner addresses itself, and
 * drops every other packet, as its kernel does with a HELLO (which is to 127.0.0.1, a martian).
 *
 * It lives in the test's own process and reaches into a namespace over a Unix socket with a path,
 * which no network namespace confines.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { crc32c } from './crc32c.js'
import { within } from './deadline.js'
import { frame, HEADER_BYTES, header, MAGIC } from './frame.js'
import { echoPacket, parseEcho, sameAddress } from './icmp.js'

export interface OriginalOptions {
  mtuBytes: number
  /** Its inner addresses, without prefix lengths. */
  inner: string[]
}

/** A frame as it came, payload included. */
export interface ReceivedFrame {
  flags: number
  payload: Buffer
}

/** Identifies the echo requests that this peer sends itself. */
const ECHO_ID = 0x5a50

export class Original implements AsyncDisposable {
  /** Every frame that came and was accepted, in order. */
  readonly received: ReceivedFrame[] = []
  /** Settles with the reason when the link ends: `closed by the peer`, or what it died of. */
  readonly ended: Promise<string>
  readonly #socket: Socket
  readonly #options: OriginalOptions
  readonly #awaited = new Map<number, () => void>()
  #pending = Buffer.alloc(0)
  #end!: (reason: string) => void
  #reason: string | undefined
  #sequence = 0

  constructor(socket: Socket, options: OriginalOptions) {
    this.#socket = socket
    this.#options = options
    this.ended = new Promise((resolve) => {
      this.#end = (reason) => {
        this.#reason ??= reason
        socket.destroy()
        resolve(this.#reason)
      }
    })
    socket.on('data', (bytes) => {
      this.#push(bytes)
    })
    socket.on('end', () => {
      this.#end(this.#pending.length === 0 ? 'closed by the peer' : 'closed by the peer inside a frame')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#end(`connection lost: ${error.code ?? error.message}`)
    })
    socket.on('close', () => {
      this.#end('closed')
    })
  }

  /** Dials a server at a Unix socket. */
  static async dial(path: string, options: OriginalOptions): Promise<Original> {
    const socket = connect(path)
    await once(socket, 'connect')
    return new Original(socket, options)
  }

  /** Why it ended; undefined while it lives. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** Sends one echo request through the tunnel and waits for the answer. */
  async ping(to: string, { sizeBytes = 56, byteByByte = false, deadlineMs = 5000 } = {}): Promise<void> {
    this.#sequence += 1
    const sequence = this.#sequence
    const from = this.#options.inner.find((address) => address.includes(':') === to.includes(':'))
    if (from === undefined) throw new Error(`no inner address of the family of ${to}`)
    const answered = new Promise<void>((resolve) => this.#awaited.set(sequence, resolve))
    const data = Buffer.alloc(sizeBytes, sequence & 0xff)
    const packet = echoPacket({ kind: 'request', from, to, id: ECHO_ID, sequence, data })
    if (byteByByte) await this.sendSlowly(frame(packet))
    else this.send(packet)
    await within(
      `the answer to echo request ${sequence} from ${to}`,
      deadlineMs,
      Promise.race([answered, this.#died()]),
    )
  }

  /** Sends one packet, as its TUN would have given it. */
  send(packet: Uint8Array): void {
    this.sendBytes(frame(packet))
  }

  /** Sends bytes as they are: for what no original would send. */
  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** Sends bytes one at a time, each in a write of its own. */
  async sendSlowly(bytes: Uint8Array): Promise<void> {
    this.#socket.setNoDelay(true)
    for (const byte of bytes) {
      this.#socket.write(Uint8Array.of(byte))
      await nextTurn()
    }
  }

  /** Ends the stream cleanly, after what was sent. */
  async close(): Promise<void> {
    this.#socket.end()
    await within('the end of the link', 5000, this.ended)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('disposed of')
    await this.ended
  }

  async #died(): Promise<never> {
    throw new Error(`the peer ended: ${await this.ended}`)
  }

  #push(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes])
    while (this.#reason === undefined && this.#pending.length >= HEADER_BYTES) {
      const { magic, flags, sizeBytes, crc } = header(this.#pending)
      if (magic !== MAGIC) {
        this.#end(`died of magic 0x${magic.toString(16)}`)
      } else if (sizeBytes === 0 || sizeBytes > this.#options.mtuBytes) {
        this.#end(`died of size ${sizeBytes}`)
      } else if (this.#pending.length < HEADER_BYTES + sizeBytes) {
        return
      } else {
        const payload = Buffer.from(this.#pending.subarray(HEADER_BYTES, HEADER_BYTES + sizeBytes))
        this.#pending = this.#pending.subarray(HEADER_BYTES + sizeBytes)
        if (crc32c(payload) !== crc) this.#end(`died of CRC32C 0x${crc.toString(16)}`)
        else this.#accept({ flags, payload })
      }
    }
  }

  #accept(received: ReceivedFrame): void {
    const version = (received.payload[0] ?? 0) >> 4
    if (version !== 4 && version !== 6) {
      this.#end(`died because its TUN refused a payload of version ${version}`)
      return
    }
    this.received.push(received)
    const echo = parseEcho(received.payload)
    if (!echo || !this.#options.inner.some((address) => sameAddress(address, echo.to))) return
    if (echo.kind === 'request') this.send(echoPacket({ ...echo, kind: 'reply', from: echo.to, to: echo.from }))
    else if (echo.id === ECHO_ID) this.#awaited.get(echo.sequence)?.()
  }
}

/** An original in the server's role: listens at a Unix socket and serves whoever dials. */
export class OriginalServer implements AsyncDisposable {
  readonly #server = createServer({ allowHalfOpen: true })
  readonly #options: OriginalOptions
  readonly #peers: Original[] = []
  readonly #arrivals: ((peer: Original) => void)[] = []

  private constructor(options: OriginalOptions) {
    this.#options = options
    this.#server.on('connection', (socket) => {
      const peer = new Original(socket, this.#options)
      this.#peers.push(peer)
      this.#arrivals.shift()?.(peer)
    })
  }

  static async listen(path: string, options: OriginalOptions): Promise<OriginalServer> {
    const original = new OriginalServer(options)
    original.#server.listen(path)
    await once(original.#server, 'listening')
    return original
  }

  /** The next peer that dials. */
  async accept(deadlineMs = 5000): Promise<Original> {
    const arrived = new Promise<Original>((resolve) => this.#arrivals.push(resolve))
    return within('a peer at the scripted server', deadlineMs, arrived)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) await peer[Symbol.asyncDispose]()
    // Closing removes the socket file too.
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

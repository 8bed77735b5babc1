/**
 * A peer whose every frame is the test's: it sends what it is told, dies of nothing, notes what comes, and answers PING
 * and the echo requests for its inner addresses.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

import { until, within } from './deadline.js'
import { frame } from './frame.js'
import { type Finished, FLAG, KIND, pongMessage } from './hello.js'
import { echoPacket, parseEcho, sameAddress } from './icmp.js'
import type { ReceivedFrame } from './original.js'
import { FrameReader } from './tap.js'

/** Identifies the echo requests that this peer sends itself. */
const ECHO_ID = 0x5a51

export class Scripted implements AsyncDisposable {
  /** Every frame that came, in order. */
  readonly received: ReceivedFrame[] = []
  /** Settles when the other side has ended the link. */
  readonly ended: Promise<unknown>
  readonly #socket: Socket
  readonly #inner: readonly string[]
  /** All but the first frame, which is the other side's HELLO. */
  readonly #finished: Finished = { frames: 0, bytes: 0 }
  #sequence = 0

  constructor(socket: Socket, inner: readonly string[]) {
    this.#socket = socket
    this.#inner = inner
    const reader = new FrameReader((flags, payload) => {
      this.received.push({ flags, payload: Buffer.from(payload) })
      this.#answer(flags, payload)
    })
    socket.on('data', (bytes) => {
      reader.push(bytes)
    })
    // A refusal may be a reset, because bytes of ours were not read.
    socket.on('error', () => undefined)
    this.ended = once(socket, 'close').catch(() => undefined)
  }

  /** Dials a server at a Unix socket. */
  static async dial(path: string, inner: readonly string[]): Promise<Scripted> {
    const socket = connect(path)
    await once(socket, 'connect')
    return new Scripted(socket, inner)
  }

  /** Sends a frame. */
  send(payload: Uint8Array, flags = 0): void {
    this.sendBytes(frame(payload, { flags }))
  }

  /** Sends bytes as they are. */
  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** Sends one echo request and waits for the answer, which comes after the answers to all that was sent before. */
  async ping(to: string, deadlineMs = 5000): Promise<void> {
    this.#sequence += 1
    const sequence = this.#sequence
    const from = this.#inner.find((address) => address.includes(':') === to.includes(':'))
    if (from === undefined) throw new Error(`no inner address of the family of ${to}`)
    this.send(echoPacket({ kind: 'request', from, to, id: ECHO_ID, sequence, data: Buffer.alloc(56, sequence) }))
    await until(`the answer to echo request ${sequence} from ${to}`, deadlineMs, () => {
      if (this.#socket.destroyed) throw new Error('the other side ended the link')
      return this.received.some(({ flags, payload }) => {
        const echo = flags === 0 ? parseEcho(payload) : undefined
        return echo?.kind === 'reply' && echo.id === ECHO_ID && echo.sequence === sequence
      })
    })
  }

  /** Waits until the other side has ended the link. */
  async isEnded(deadlineMs = 5000): Promise<void> {
    await within('the end of the link', deadlineMs, this.ended)
  }

  /** Ends the stream after what was sent. */
  async close(): Promise<void> {
    this.#socket.end()
    await this.isEnded()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy()
    await this.ended
  }

  #answer(flags: number, payload: Buffer): void {
    if (flags & FLAG.control) {
      if (payload[0] === KIND.ping) this.send(pongMessage(payload, this.#finished), FLAG.control)
      return
    }
    if (this.received.length > 1) {
      this.#finished.frames += 1
      this.#finished.bytes += payload.length
    }
    const echo = flags === 0 ? parseEcho(payload) : undefined
    if (echo?.kind !== 'request' || !this.#inner.some((address) => sameAddress(address, echo.to))) return
    this.send(echoPacket({ ...echo, kind: 'reply', from: echo.to, to: echo.from }))
  }
}

/** The same in the server's role. */
export class ScriptedServer implements AsyncDisposable {
  readonly #server: Server
  readonly #peers: Scripted[] = []
  readonly #arrivals: ((peer: Scripted) => void)[] = []

  private constructor(inner: readonly string[]) {
    this.#server = createServer((socket) => {
      const peer = new Scripted(socket, inner)
      this.#peers.push(peer)
      this.#arrivals.shift()?.(peer)
    })
  }

  static async listen(path: string, inner: readonly string[]): Promise<ScriptedServer> {
    const scripted = new ScriptedServer(inner)
    scripted.#server.listen(path)
    await once(scripted.#server, 'listening')
    return scripted
  }

  /** The next peer that dials. */
  async accept(deadlineMs = 10_000): Promise<Scripted> {
    const arrived = new Promise<Scripted>((resolve) => this.#arrivals.push(resolve))
    return within('a peer at the scripted server', deadlineMs, arrived)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) await peer[Symbol.asyncDispose]()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

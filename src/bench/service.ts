/**
 * The end that is measured: takes bytes, gives bytes and returns datagrams, for one bench and nobody else. It listens on
 * an address inside the tunnel, believes only who comes from the asker's addresses and shows the token, and ends when
 * the asker does, or when its time is over.
 *
 * The asker opens a connection and writes `TOKEN control`, `TOKEN source` or `TOKEN sink`, each a line. A source writes
 * without end. On the control connection the line `count` is answered with what all sinks have taken; its end is the
 * end of the bench. A datagram that begins with the token's bytes is returned as it came.
 */

import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer } from 'node:net'
import { hostOf } from './place.js'
import { Thread } from './thread.js'

/** The asker has had its answer for that long, and connects at once if at all. */
const BEGIN_WITHIN_MS = 5000
/** More than the longest bench takes. */
const LIFE_MS = 180_000
/** A stranger gets no longer to say that it is none. */
const TOKEN_WITHIN_MS = 2000
/** The control connection and the streams of {@link STREAMS_MAX}. */
const CONNECTIONS_MAX = 17
/** Streams at a time in one direction. */
export const STREAMS_MAX = 16
/** Written again and again; random, because something on the way may compress. */
const CHUNK_BYTES = 256 * 1024
/** Of the greeting, and of what is asked on the control connection. */
const LINE_MAX_BYTES = 64
/** Answers on the control connection that wait to be read. */
const UNREAD_MAX_BYTES = 64 * 1024
/** How often another port is tried when one is free for TCP and not for UDP. */
const PORTS_TRIED = 8

export interface BenchService {
  readonly port: number
  /** Resolves when nothing listens any more. */
  readonly ended: Promise<void>
  close(): void
}

/** Who is to be believed, and where. */
export interface Guest {
  readonly host: string
  readonly from: readonly string[]
  readonly token: string
}

/** Begins to listen. Rejects when it cannot. */
export async function serveBench(guest: Guest): Promise<BenchService> {
  for (let tried = 1; ; tried += 1) {
    const bench = new Service(guest)
    try {
      return await bench.open()
    } catch (error) {
      bench.close()
      await bench.ended
      if (tried === PORTS_TRIED || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

class Service implements BenchService {
  readonly ended: Promise<void>
  readonly #guest: Guest
  readonly #server = createServer({ noDelay: true })
  #echo: Thread | undefined
  readonly #token: Buffer
  readonly #open = new Set<Socket>()
  readonly #timers: NodeJS.Timeout[] = []
  #chunk: Buffer | undefined
  #isBegun = false
  #sunkBytes = 0
  #resolveEnded: () => void = () => undefined

  constructor(guest: Guest) {
    this.#guest = guest
    this.#token = Buffer.from(guest.token, 'hex')
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.on('connection', (socket) => {
      this.#welcome(socket)
    })
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  async open(): Promise<this> {
    const { host } = this.#guest
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port: 0, exclusive: true }, resolve)
    })
    this.#server.removeAllListeners('error')
    this.#server.on('error', () => {
      this.close()
    })
    const { from, token } = this.#guest
    this.#echo = await Thread.start('echo', { host, port: this.port, from, token })
    this.#after(LIFE_MS, () => {
      this.close()
    })
    this.#after(BEGIN_WITHIN_MS, () => {
      if (!this.#isBegun) this.close()
    })
    return this
  }

  close(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer)
    for (const socket of this.#open) socket.resetAndDestroy()
    const echoEnded = this.#echo?.stop()
    this.#server.close(() => {
      void Promise.resolve(echoEnded).then(this.#resolveEnded)
    })
  }

  /** Reads the first line, and does what it asks for. */
  #welcome(socket: Socket): void {
    this.#open.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#open.delete(socket))
    if (!this.#isGuest(socket.remoteAddress ?? '')) {
      socket.destroy()
      return
    }
    const patience = setTimeout(() => socket.destroy(), TOKEN_WITHIN_MS)
    socket.on('close', () => {
      clearTimeout(patience)
    })
    let greeting = ''
    const onData = (bytes: Buffer): void => {
      greeting += bytes.toString('latin1')
      const end = greeting.indexOf('\n')
      if (end === -1 && greeting.length <= LINE_MAX_BYTES) return
      socket.off('data', onData)
      socket.pause()
      clearTimeout(patience)
      const [token = '', wish = ''] = greeting.slice(0, Math.max(end, 0)).split(' ')
      if (!this.#isToken(Buffer.from(token, 'hex')) || !this.#grant(socket, wish)) socket.destroy()
    }
    socket.on('data', onData)
  }

  /** False for a wish that there is none of, or that comes before the control connection. */
  #grant(socket: Socket, wish: string): boolean {
    if (wish === 'control' && !this.#isBegun) {
      this.#isBegun = true
      this.#control(socket)
    } else if (wish === 'sink' && this.#isBegun) {
      socket.on('data', (bytes) => {
        this.#sunkBytes += bytes.length
      })
      socket.resume()
    } else if (wish === 'source' && this.#isBegun) {
      this.#chunk ??= randomBytes(CHUNK_BYTES)
      pour(socket, this.#chunk)
      // Nothing comes, but its end.
      socket.resume()
    } else {
      return false
    }
    return true
  }

  #control(socket: Socket): void {
    socket.on('close', () => {
      this.close()
    })
    socket.write('ready\n')
    eachLine(socket, (line) => {
      if (line !== 'count') return
      socket.write(`${JSON.stringify({ bytes: this.#sunkBytes, ms: performance.now() })}\n`)
      // Who measures reads the answers.
      if (socket.writableLength > UNREAD_MAX_BYTES) socket.destroy()
    })
  }

  #isGuest(address: string): boolean {
    return this.#guest.from.includes(hostOf(address))
  }

  #isToken(bytes: Buffer): boolean {
    return bytes.length === this.#token.length && timingSafeEqual(bytes, this.#token)
  }

  #after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms).unref())
  }
}

/** Reads what the other end says on a control connection, and closes it on one who says a line without end. */
export function eachLine(socket: Socket, hear: (line: string) => void): void {
  let begun = ''
  socket.on('data', (bytes: Buffer) => {
    const lines = (begun + bytes.toString('latin1')).split('\n')
    begun = lines.pop() ?? ''
    for (const line of lines) if (!socket.destroyed) hear(line)
    if (begun.length > LINE_MAX_BYTES) socket.destroy()
  })
  socket.resume()
}

/** Writes without end, as fast as it is taken. */
export function pour(socket: Socket, chunk: Buffer): void {
  const more = (): void => {
    // One chunk a turn: the other things of this process are to have theirs.
    if (!socket.destroyed && socket.write(chunk)) setImmediate(more)
  }
  socket.on('drain', more)
  more()
}

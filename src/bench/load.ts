/** The streams that fill the tunnel in one direction, and the connection on which the peer tells what has come. */

import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { ZPortalError } from '../errors.js'
import type { Invitation } from './parley.js'
import { eachLine, pour } from './service.js'

/** What a link with a second of buffer needs, several times over. */
const CONNECT_WITHIN_MS = 10_000
const ANSWER_WITHIN_MS = 15_000
/** Read into again and again: nobody looks at what comes. */
const READ_BYTES = 256 * 1024
const CHUNK_BYTES = 256 * 1024

/** Bytes that had arrived at a moment of the receiver's clock. */
export interface Count {
  readonly bytes: number
  readonly ms: number
}

/** Streams in one direction. */
export interface Load {
  count(): Promise<Count>
  /** At once: what is still under way is of no use. */
  stop(): void
}

/** The connection that a bench lasts as long as. */
export class ControlLine {
  readonly #socket: Socket
  readonly #answers: ((line: string | undefined) => void)[] = []
  /** Called when the peer has ended the bench. */
  onEnd: () => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    eachLine(socket, (line) => this.#answers.shift()?.(line))
    socket.on('close', () => {
      this.onEnd()
      for (const answer of this.#answers.splice(0)) answer(undefined)
    })
  }

  static async open(invitation: Invitation): Promise<ControlLine> {
    const socket = await open(invitation)
    const control = new ControlLine(socket)
    const ready = control.#answer()
    socket.write(`${invitation.token} control\n`)
    if ((await ready) !== 'ready') throw strange()
    return control
  }

  /** From which address of this end it goes. */
  get localAddress(): string {
    return this.#socket.localAddress ?? ''
  }

  /** What the peer's sinks have taken. */
  async count(): Promise<Count> {
    const answer = this.#answer()
    this.#socket.write('count\n')
    return readCount(await answer)
  }

  close(): void {
    this.onEnd = () => undefined
    this.#socket.destroy()
  }

  async #answer(): Promise<string> {
    const line = await new Promise<string | undefined>((resolve, reject) => {
      const patience = setTimeout(() => {
        reject(new ZPortalError('ZP_BENCH', `the peer has not answered within ${ANSWER_WITHIN_MS / 1000} s`))
      }, ANSWER_WITHIN_MS)
      this.#answers.push((answer) => {
        clearTimeout(patience)
        resolve(answer)
      })
      if (this.#socket.destroyed) this.#answers.shift()?.(undefined)
    })
    if (line === undefined) throw endedByPeer()
    return line
  }
}

/** From the peer to here. */
export async function downward(invitation: Invitation, streams: number): Promise<Load> {
  const onread = { buffer: Buffer.alloc(READ_BYTES), callback: (bytes: number) => (count += bytes) > 0 }
  let count = 0
  const sockets = await openAll(invitation, streams, onread)
  for (const socket of sockets) socket.write(`${invitation.token} source\n`)
  return {
    count: () => Promise.resolve({ bytes: count, ms: performance.now() }),
    stop: () => {
      stopAll(sockets)
    },
  }
}

/** From here to the peer. */
export async function upward(invitation: Invitation, streams: number, control: ControlLine): Promise<Load> {
  const sockets = await openAll(invitation, streams)
  const chunk = randomBytes(CHUNK_BYTES)
  for (const socket of sockets) {
    socket.write(`${invitation.token} sink\n`)
    pour(socket, chunk)
  }
  return {
    count: () => control.count(),
    stop: () => {
      stopAll(sockets)
    },
  }
}

async function openAll(invitation: Invitation, streams: number, onread?: OnRead): Promise<Socket[]> {
  const opened = await Promise.allSettled(Array.from({ length: streams }, () => open(invitation, onread)))
  const sockets = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failed = opened.find((one) => one.status === 'rejected')
  if (failed === undefined) return sockets
  stopAll(sockets)
  throw failed.reason
}

interface OnRead {
  readonly buffer: Buffer
  readonly callback: (bytes: number) => boolean
}

function open({ host, port }: Invitation, onread?: OnRead): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, ...(onread === undefined ? {} : { onread }) })
    const patience = setTimeout(() => {
      fail(`no connection to ${host} within ${CONNECT_WITHIN_MS / 1000} s: does a firewall at the peer forbid it?`)
    }, CONNECT_WITHIN_MS)
    const fail = (sentence: string, cause?: Error) => {
      clearTimeout(patience)
      socket.destroy()
      reject(new ZPortalError('ZP_BENCH', sentence, { cause }))
    }
    socket.once('error', (cause) => {
      fail(`no connection to ${host} through the tunnel: ${cause.message}`, cause)
    })
    socket.once('connect', () => {
      clearTimeout(patience)
      // From now on a failure is an end, which whoever counts will notice.
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

function stopAll(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.resetAndDestroy()
}

/** Whoever asks for something that the peer has ended. */
export function endedByPeer(): ZPortalError {
  return new ZPortalError('ZP_BENCH', 'the peer has ended the bench: is the tunnel still up?')
}

function readCount(line: string): Count {
  let read: Partial<Count> | null
  try {
    read = JSON.parse(line) as Partial<Count> | null
  } catch {
    throw strange()
  }
  if (typeof read?.bytes !== 'number' || typeof read.ms !== 'number') throw strange()
  return { bytes: read.bytes, ms: read.ms }
}

function strange(): ZPortalError {
  return new ZPortalError('ZP_BENCH', 'the peer answers in a way that this version does not know: use one version')
}

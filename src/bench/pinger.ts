/** Sends small datagrams at a steady pace to an end that returns them, and notes how long each took. */

import type { Socket } from 'node:dgram'
import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import type { Pings } from './grade.js'
import { summary } from './grade.js'
import type { Invitation } from './parley.js'
import { hostOf } from './place.js'

/** Forty a second: enough for percentiles, and nothing to any link that can carry a tunnel. */
const PING_EVERY_MS = 25
/** The token, then the number. */
const NUMBER_BYTES = 4

/** What was sent and came back between two moments. */
export interface Interval {
  /** Waits for what is still under way, but not for ever, and tells. */
  end(patienceMs: number): Promise<Pings>
}

export class Pinger {
  readonly #socket: Socket
  readonly #message: Buffer
  /** When each was sent, by number, while it has not come back. */
  readonly #underWay = new Map<number, number>()
  readonly #roundTripsMs = new Map<number, number>()
  #next = 0

  private constructor(socket: Socket, token: string) {
    this.#socket = socket
    this.#message = Buffer.concat([Buffer.from(token, 'hex'), Buffer.alloc(NUMBER_BYTES)])
    socket.on('message', (message) => {
      this.#returned(message, performance.now())
    })
    // A full queue loses a ping, as a network would.
    socket.on('error', () => undefined)
    setInterval(() => {
      this.#send()
    }, PING_EVERY_MS)
  }

  static async start({ host, port, token }: Invitation): Promise<Pinger> {
    const socket = createSocket(isIP(hostOf(host)) === 6 ? 'udp6' : 'udp4')
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.connect(port, host, () => {
          socket.off('error', reject)
          resolve()
        })
      })
    } catch (error) {
      socket.close()
      throw error
    }
    return new Pinger(socket, token)
  }

  /** Pings that are sent from now on until its end. */
  begin(): Interval {
    const first = this.#next
    return {
      end: async (patienceMs) => {
        const last = this.#next
        const isMissing = () => [...this.#underWay.keys()].some((number) => number >= first && number < last)
        const until = performance.now() + patienceMs
        while (isMissing() && performance.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, PING_EVERY_MS))
        }
        const trips = [...this.#roundTripsMs].filter(([number]) => number >= first && number < last)
        return summary(
          last - first,
          trips.map(([, ms]) => ms),
        )
      },
    }
  }

  #send(): void {
    const number = this.#next++
    this.#message.writeUInt32BE(number, this.#message.length - NUMBER_BYTES)
    this.#underWay.set(number, performance.now())
    // The message is copied by the kernel before this returns or not at all.
    this.#socket.send(Buffer.from(this.#message))
  }

  #returned(message: Buffer, nowMs: number): void {
    if (message.length !== this.#message.length) return
    const number = message.readUInt32BE(message.length - NUMBER_BYTES)
    const sentMs = this.#underWay.get(number)
    if (sentMs === undefined) return
    this.#underWay.delete(number)
    this.#roundTripsMs.set(number, nowMs - sentMs)
  }
}

/** Looks at a tunnel while it is measured: at what it knows of its stream, and whether it still has the peer it had. */

import { setTimeout as sleep } from 'node:timers/promises'
import { askStatus } from '../control/client.js'
import type { TunnelStatus } from '../control/status.js'
import { ZPortalError } from '../errors.js'
import { summary } from './grade.js'

const LOOK_EVERY_MS = 250

export class StreamWatch {
  readonly #socket: string
  readonly #before: TunnelStatus
  readonly #failed = new AbortController()
  readonly #timer: NodeJS.Timeout
  #seenMs: number[] = []
  #isLooking = false

  constructor(socket: string, before: TunnelStatus) {
    this.#socket = socket
    this.#before = before
    this.#timer = setInterval(() => {
      void this.#look()
    }, LOOK_EVERY_MS)
  }

  /** What is seen from now on counts. */
  begin(): void {
    this.#seenMs = []
  }

  /** The median of the round trips that the stream had meanwhile; null where it knows none. */
  roundTripMs(): number | null {
    return summary(this.#seenMs.length, this.#seenMs).medianMs
  }

  /**
   * Lets time pass.
   *
   * @throws {@link ZPortalError} why there is nothing to wait for, as soon as that is known.
   */
  async pass(ms: number): Promise<void> {
    const { signal } = this.#failed
    try {
      await sleep(ms, undefined, { signal })
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    }
  }

  fail(reason: ZPortalError): void {
    this.#failed.abort(reason)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const { state, stats } = await askStatus(this.#socket)
      const isSame = state === 'up' && stats.peersAccepted === this.#before.stats.peersAccepted
      if (!isSame)
        this.fail(new ZPortalError('ZP_BENCH', 'the tunnel has lost its peer: the figures would mean nothing'))
      else if (stats.rttUs > 0) this.#seenMs.push(stats.rttUs / 1000)
    } catch {
      this.fail(new ZPortalError('ZP_BENCH', 'the tunnel has ended'))
    } finally {
      this.#isLooking = false
    }
  }
}

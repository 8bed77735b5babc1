/**
 * How two ends agree on a bench, over the stream and not through the network inside it. Nothing listens before the peer
 * has asked and this end has agreed, and it never lasts longer than one bench (`service.ts`).
 */

import { randomBytes } from 'node:crypto'
import { ZPortalError } from '../errors.js'
import { addressesOn, hostOf, meetingPlace, withZone } from './place.js'
import type { BenchService } from './service.js'
import type { Ask, At, No, Refusal, Word } from './words.js'
import { formatWord, parseWord } from './words.js'

/** The peer's answer takes a round trip and a turn of its event loop. */
const ANSWER_WITHIN_MS = 5000

/** Where the peer has begun to listen, and what to show there. */
export interface Invitation {
  /** With its zone, where it needs one. */
  readonly host: string
  readonly port: number
  readonly token: string
}

/** The tunnel that the two ends belong to. */
export interface Link {
  /** The device. */
  readonly name: string
  readonly say: (text: string) => boolean
}

const REFUSED: Readonly<Record<Refusal, string>> = {
  off: 'the peer does not take part in benches: it runs with --no-bench, or in a program that did not allow it',
  busy: 'the peer takes part in another bench just now: try again when that is over',
  address:
    'the two ends have no address inside the tunnel at which they could meet: give both one in the same network (-a)',
}

export class Parley {
  /** Whether the peer may measure. */
  isWelcome: boolean
  readonly #link: Link
  #asked: { readonly id: string; readonly settle: (answer: At | No | ZPortalError) => void } | undefined
  /** From the moment of agreeing to the end of the bench. */
  #service: Promise<BenchService | undefined> | undefined

  constructor(link: Link, isWelcome: boolean) {
    this.#link = link
    this.isWelcome = isWelcome
  }

  /**
   * Asks the peer to listen.
   *
   * @throws {@link ZPortalError} `ZP_BENCH` when it refuses or does not answer.
   */
  async ask(): Promise<Invitation> {
    if (this.#asked !== undefined)
      throw new ZPortalError('ZP_BENCH', 'the peer is being asked already: try again later')
    const id = randomBytes(6).toString('hex')
    const { name, say } = this.#link
    const answered = new Promise<At | No | ZPortalError>((resolve) => {
      this.#asked = { id, settle: resolve }
    })
    const patience = setTimeout(() => {
      const sentence = `the peer has not answered within ${ANSWER_WITHIN_MS / 1000} s: its ZPortal is older, or is stuck`
      this.#settle(new ZPortalError('ZP_BENCH', sentence))
    }, ANSWER_WITHIN_MS)
    say(formatWord({ bench: 'ask', id, from: addressesOn(name).map(hostOf) }))
    const answer = await answered
    clearTimeout(patience)
    if (answer instanceof ZPortalError) throw answer
    if (answer.bench === 'no') throw new ZPortalError('ZP_BENCH', REFUSED[answer.why])
    return { host: withZone(answer.host, name), port: answer.port, token: answer.token }
  }

  /** The peer's shell has said something. */
  hear(text: string): void {
    const word = parseWord(text)
    if (word === undefined) return
    if (word.bench === 'ask') void this.#answer(word)
    else if (word.id === this.#asked?.id) this.#settle(word)
  }

  /** The peer is gone, and with it every bench. */
  lost(): void {
    this.#settle(new ZPortalError('ZP_BENCH', 'the peer was lost before it answered'))
    void this.#service?.then((service) => service?.close())
  }

  /** Resolves once nothing listens any more. */
  async close(): Promise<void> {
    this.lost()
    await (
      await this.#service
    )?.ended
  }

  async #answer({ id, from }: Ask): Promise<void> {
    const answer = (word: Word) => {
      this.#link.say(formatWord(word))
    }
    const host = meetingPlace(addressesOn(this.#link.name), from)
    const refusal = this.#refusal(host)
    if (host === undefined || refusal !== undefined) {
      answer({ bench: 'no', id, why: refusal ?? 'address' })
      return
    }
    const token = randomBytes(16).toString('hex')
    const opening = this.#open(host, from, token)
    this.#service = opening
    const service = await opening
    answer(
      service === undefined
        ? { bench: 'no', id, why: 'address' }
        : { bench: 'at', id, host, port: service.port, token },
    )
    await service?.ended
    this.#service = undefined
  }

  #refusal(host: string | undefined): Refusal | undefined {
    if (!this.isWelcome) return 'off'
    if (this.#service !== undefined) return 'busy'
    return host === undefined ? 'address' : undefined
  }

  async #open(host: string, from: readonly string[], token: string): Promise<BenchService | undefined> {
    try {
      // Loaded by those only who are asked.
      const { serveBench } = await import('./service.js')
      return await serveBench({ host: withZone(host, this.#link.name), from, token })
    } catch {
      // The address has gone meanwhile, or no descriptor is left: either way there is no place to meet.
      return undefined
    }
  }

  #settle(answer: At | No | ZPortalError): void {
    const asked = this.#asked
    this.#asked = undefined
    asked?.settle(answer)
  }
}

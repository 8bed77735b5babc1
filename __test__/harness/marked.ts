/** Traffic whose every byte is checked at its end; see `inside/marked.mjs`. */
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'
import type { Child } from './process.js'

const SCRIPT = fileURLToPath(new URL('inside/marked.mjs', import.meta.url))

export interface Arrived {
  datagrams: number
  /** Of the stream. */
  bytes: number
  wrong: number
}

export class Marked implements AsyncDisposable {
  readonly #sender: Child
  readonly #receiver: Child

  private constructor(sender: Child, receiver: Child) {
    this.#sender = sender
    this.#receiver = receiver
  }

  /** Begins to send from one namespace to an address in the other. */
  static async begin(from: Namespace, to: { namespace: Namespace; address: string }): Promise<Marked> {
    const receiver = to.namespace.spawn([process.execPath, SCRIPT, 'receive', to.address])
    const [, port = ''] = await receiver.line(/"port":(\d+)/)
    const sender = from.spawn([process.execPath, SCRIPT, 'send', to.address, port])
    await sender.line(/connected/)
    return new Marked(sender, receiver)
  }

  async arrived(): Promise<Arrived> {
    const after = this.#receiver.lines.length
    this.#receiver.stdin.write('\n')
    return JSON.parse((await this.#receiver.line(/"wrong"/, { after })).input) as Arrived
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender.stop()
    await this.#receiver.stop()
  }
}

/** A thread of a bench, as the one who starts it sees it: an order, an answer. */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { EchoPlace } from './echo.js'
import type { Pings } from './grade.js'
import type { Invitation } from './parley.js'

export type Work = 'echo' | 'ping'

/** What a pinger is told. */
export type Order = { readonly begin: true } | { readonly begin: false; readonly patienceMs: number }

/** What a thread says when it has begun, and to each order. */
export type Answer =
  | { readonly value: Pings | null; readonly failure?: undefined }
  | { readonly failure: { readonly message: string; readonly code: string | undefined } }

export class Thread {
  readonly #worker: Worker

  private constructor(work: Work, place: EchoPlace | Invitation) {
    // From here as from any bundle of this package, its name leads to its own root.
    const root = dirname(createRequire(import.meta.url).resolve('zportal/package.json'))
    // Without the flags of this process, which may be a debugger's.
    this.#worker = new Worker(join(root, 'dist', 'bench', 'worker.js'), {
      workerData: { work, place },
      execArgv: [],
      env: {},
    })
    this.#worker.unref()
  }

  /** Rejects when the thread cannot do that work there. */
  static async start(...[work, place]: ['echo', EchoPlace] | ['ping', Invitation]): Promise<Thread> {
    const thread = new Thread(work, place)
    try {
      await thread.#answer()
      return thread
    } catch (error) {
      await thread.stop()
      throw error
    }
  }

  async ask(order: Order): Promise<Pings | null> {
    const answered = this.#answer()
    this.#worker.postMessage(order)
    return answered
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  async #answer(): Promise<Pings | null> {
    const worker = this.#worker
    const answer = await new Promise<Answer>((resolve, reject) => {
      const onExit = () => {
        reject(new Error('the thread has ended'))
      }
      worker.ref()
      worker.once('error', reject)
      worker.once('exit', onExit)
      worker.once('message', (message: Answer) => {
        worker.off('error', reject)
        worker.off('exit', onExit)
        // A failure of it that nobody waits for is found out at the next order.
        worker.on('error', () => undefined)
        worker.unref()
        resolve(message)
      })
    })
    if (answer.failure === undefined) return answer.value
    throw Object.assign(new Error(answer.failure.message), { code: answer.failure.code })
  }
}

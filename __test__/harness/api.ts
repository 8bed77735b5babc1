/** A program inside a namespace that uses the Node API of the repository under test; see `inside/api.mjs`. */
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'
import type { Child } from './process.js'
import { ROOT } from './zportal.js'

const SCRIPT = fileURLToPath(new URL('inside/api.mjs', import.meta.url))

/** What the Node API is called with; kept loose here, because wrong values are among the tests. */
export type Options = Record<string, unknown>

/** A failure that crossed the pipe. */
export class ApiFailure extends Error {
  constructor(
    readonly code: string | undefined,
    message: string,
  ) {
    super(message)
  }
}

export class ApiProgram {
  readonly child: Child

  constructor(at: Namespace) {
    this.child = at.spawn([process.execPath, '--expose-gc', SCRIPT, ROOT])
  }

  /** Gives one order and waits for its answer. Orders are carried out one after another. */
  async order(deed: string, details: Options = {}, deadlineMs = 10_000): Promise<unknown> {
    const after = this.#tell(deed, details)
    const [line] = await this.child.line(/^\{"(value|error)".*/, { deadlineMs, after })
    const answer = JSON.parse(line) as { value?: unknown; error?: { code?: string; message: string } }
    if (answer.error) throw new ApiFailure(answer.error.code, answer.error.message)
    return answer.value
  }

  /** Gives an order that has no answer. */
  orderOnly(deed: string, details: Options = {}): void {
    this.#tell(deed, details)
  }

  /** No more orders: it ends by itself if nothing keeps it alive. */
  end(): void {
    this.child.stdin.end()
  }

  #tell(deed: string, details: Options): number {
    const after = this.child.lines.length
    this.child.stdin.write(`${JSON.stringify({ do: deed, ...details })}\n`)
    return after
  }
}

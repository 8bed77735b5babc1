/** Which hook runs when: one at a time, in the order of the events, each at most once for what it stands for. */

import { ZPortalError } from '../errors.js'
import type { HookEvent, HookFacts } from './environment.js'
import { hookEnvironment } from './environment.js'
import { runHook } from './run.js'

/** The hooks of a tunnel, after the door. */
export interface ParsedHooks {
  readonly up: string | undefined
  readonly down: string | undefined
  readonly reconnect: string | undefined
  readonly timeoutMs: number
  /** Whether the tunnel closes when its `up` hook fails. */
  readonly required: boolean
}

/** A line of a hook's output, or what went wrong with it. */
export interface HookNotice {
  readonly level: 'info' | 'warn'
  readonly code: `hook-${HookEvent}`
  readonly message: string
}

/** What a tunnel knows of itself, whatever happens. */
export type TunnelFacts = Omit<HookFacts, 'event' | 'peer' | 'reason'>

export class TunnelHooks {
  #hooks: ParsedHooks
  #facts: TunnelFacts
  readonly #tell: (notice: HookNotice) => void
  readonly #env: NodeJS.ProcessEnv
  readonly #hurry = new AbortController()
  #running: Promise<void> = Promise.resolve()
  /** A `reconnect` that waits for the hook before it; later ones take its place. */
  #waiting: Pick<HookFacts, 'peer' | 'reason'> | undefined
  #wasUp = false

  constructor(hooks: ParsedHooks, facts: TunnelFacts, tell: (notice: HookNotice) => void, env = process.env) {
    this.#hooks = hooks
    this.#facts = facts
    this.#tell = tell
    this.#env = env
  }

  /** Others from now on; one that runs goes on as it began. */
  change(hooks: ParsedHooks): void {
    this.#hooks = hooks
  }

  /** The tunnel has other routes from now on. */
  reroute(routes: readonly string[]): void {
    this.#facts = { ...this.#facts, routes }
  }

  /** The tunnel is up; `reason` is why it was not, if it was up before. Resolves with why it must close, if it must. */
  async up(peer: string, reason: ZPortalError | undefined): Promise<ZPortalError | undefined> {
    if (!this.#wasUp) {
      this.#wasUp = true
      const failure = await this.#queue(() => this.#run('up', { peer, reason: undefined }))
      if (failure === undefined || !this.#hooks.required || this.#hurry.signal.aborted) return undefined
      return new ZPortalError('ZP_HOOK', `the up hook ${failure}, and the tunnel is not to be without it`)
    }
    const isQueued = this.#waiting !== undefined
    this.#waiting = { peer, reason }
    if (isQueued) return undefined
    await this.#queue(() => {
      const facts = this.#waiting
      this.#waiting = undefined
      return facts === undefined ? Promise.resolve(undefined) : this.#run('reconnect', facts)
    })
    return undefined
  }

  /** The tunnel is gone for good. A hook that runs is ended; `down` runs only where `up` has. */
  async down(reason: ZPortalError): Promise<void> {
    this.#waiting = undefined
    this.#hurry.abort()
    await this.#running
    if (this.#wasUp) await this.#run('down', { peer: undefined, reason })
  }

  #queue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#running.then(run)
    this.#running = result.then(() => undefined)
    return result
  }

  /** Resolves with what went wrong, which has been told. */
  async #run(event: HookEvent, more: Pick<HookFacts, 'peer' | 'reason'>): Promise<string | undefined> {
    const command = this.#hooks[event]
    // Whoever ends the tunnel wants no more of it than its end.
    const signal = event === 'down' ? undefined : this.#hurry.signal
    if (command === undefined || signal?.aborted === true) return undefined
    const code = `hook-${event}` as const
    const failure = await runHook({
      command,
      env: hookEnvironment({ ...this.#facts, ...more, event }, this.#env),
      timeoutMs: this.#hooks.timeoutMs,
      say: (message) => {
        this.#tell({ level: 'info', code, message })
      },
      signal,
    })
    if (failure !== undefined) this.#tell({ level: 'warn', code, message: `the ${event} hook ${failure}` })
    return failure
  }
}

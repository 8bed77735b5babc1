/**
 * One tunnel as a program sees it: its states, its counters, its end.
 *
 * The state moves `opening → listening | connecting → up → waiting → up → … → closed`; a client whose first dial fails
 * goes from `connecting` to `waiting`. `closed` is reached exactly once, and only after the device, the socket file and
 * the thread are gone.
 */

import { EventEmitter } from 'node:events'
import type { Invitation } from './bench/parley.js'
import { Parley } from './bench/parley.js'
import { formatInnerAddress } from './address.js'
import type { Backstage } from './backstage.js'
import { ZPortalError } from './errors.js'
import { TunnelHooks } from './hook/tunnel-hooks.js'
import type { Step } from './lifecycle.js'
import { live } from './lifecycle.js'
import type { NativeTunnel } from './native.js'
import { toError, toNativeOptions } from './native.js'
import type { ParsedOptions } from './options.js'
import { formatRoute } from './route.js'
import type { Peer, StateChange, TunnelEnd, TunnelEvents, TunnelState, TunnelStats } from './tunnel-events.js'

/**
 * An open tunnel. Made by {@link openTunnel}; keeps the process alive until it is closed.
 *
 * Emits `state` with a {@link StateChange} and `notice` with a {@link TunnelNotice}. An error thrown by a listener does
 * not disturb the tunnel: it becomes the process's uncaught exception.
 */
export class Tunnel extends EventEmitter<TunnelEvents> {
  /** The network device, as the kernel named it. */
  readonly name: string
  /** Where a server listens, with port 0 resolved; undefined for a client. */
  readonly local: string | undefined
  readonly role: 'server' | 'client'
  /** Resolves when the tunnel is closed, with the reason. Never rejects. */
  readonly closed: Promise<TunnelEnd>
  /** @internal Resolves when the end begins, whoever wants it. */
  readonly ending: Promise<void>

  readonly #native: NativeTunnel
  readonly #backstage: Backstage
  readonly #signal: AbortSignal | undefined
  readonly #resolveClosed: (end: TunnelEnd) => void
  readonly #resolveEnding: () => void
  #state: TunnelState = 'opening'
  #peer: Peer | undefined
  #reason: ZPortalError | undefined
  #ending: Promise<void> | undefined
  readonly #hooks: TunnelHooks
  readonly #parley: Parley
  readonly #policy: { readonly role: 'server' | 'client'; once: boolean }
  #options: ParsedOptions
  /** Why the last session ended. */
  #lost: ZPortalError | undefined

  /** @internal */
  constructor(native: NativeTunnel, options: ParsedOptions, backstage: Backstage) {
    const { role, once, signal } = options
    super()
    this.#native = native
    this.#backstage = backstage
    this.#signal = signal
    this.#options = options
    this.#policy = { role, once }
    this.name = native.name
    this.local = native.local ?? undefined
    this.role = role
    let resolveClosed: (end: TunnelEnd) => void = () => undefined
    this.closed = new Promise((resolve) => (resolveClosed = resolve))
    this.#resolveClosed = resolveClosed
    let resolveEnding: () => void = () => undefined
    this.ending = new Promise((resolve) => (resolveEnding = resolve))
    this.#resolveEnding = resolveEnding

    const { hooks, mtuBytes, addresses } = options
    const facts = {
      name: this.name,
      role,
      local: this.local,
      mtuBytes,
      addresses: addresses.map(formatInnerAddress),
      routes: options.routes.map(formatRoute),
    }
    this.#hooks = new TunnelHooks(hooks, facts, (notice) => {
      this.#tell('notice', notice)
    })

    this.#parley = new Parley({ name: this.name, say: (text) => native.say(text) }, options.bench)
    backstage.onWord = (word) => {
      this.#parley.hear(word)
    }

    this.#state = role === 'server' ? 'listening' : 'connecting'
    signal?.addEventListener('abort', this.#onAbort)
    backstage.begin = () => {
      // The caller, who awaits this tunnel, comes first; then the news begins.
      setImmediate(() => {
        backstage.notices.pour((notice) => {
          this.#tell('notice', notice)
        })
        if (this.#ending !== undefined) return
        void live(native, this.#policy, this.#onStep).then((reason) => this.#end(reason))
      })
    }
  }

  get state(): TunnelState {
    return this.#state
  }

  /** The peer while the state is `up`. */
  get peer(): Peer | undefined {
    return this.#peer
  }

  /** Why there is no peer: while it is `waiting`, and once it is `closed`. */
  get reason(): ZPortalError | undefined {
    return this.#reason
  }

  /** The counters as they are now; cheap enough to ask many times a second. */
  stats(): TunnelStats {
    return this.#native.stats()
  }

  /**
   * Whether the thread that carries the packets has given the sign of life that the last call asked for; each call asks
   * for the next, so let seconds pass between two. False once it is closed.
   */
  isAlive(): boolean {
    return this.#native.isAlive()
  }

  /**
   * Ends the session and removes the device and the socket file. Resolves once all of it is gone; calling it again is
   * harmless. A reason that came first stays the reason.
   */
  async close(): Promise<void> {
    await this.#end(new ZPortalError('ZP_CLOSED', 'closed by request'))
  }

  /**
   * Resolves with the peer once the tunnel is up: at once when it is up already. A client's dials that fail do not end
   * the waiting, since it dials again.
   *
   * @throws {@link ZPortalError} the reason of closing when the tunnel closes first, `ZP_ABORTED` when `signal` aborts
   * first; that leaves the tunnel as it is.
   */
  async whenUp({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<Peer> {
    if (signal?.aborted === true) throw abortedError(signal)
    if (this.#ending !== undefined) throw (await this.closed).reason
    if (this.#peer !== undefined) return this.#peer
    return new Promise((resolve, reject) => {
      const stopWaiting = () => {
        this.off('state', onState)
        signal?.removeEventListener('abort', onAbort)
      }
      const onState = (change: StateChange) => {
        if (change.state !== 'up' && change.state !== 'closed') return
        stopWaiting()
        if (change.state === 'up') resolve(change.peer)
        else reject(change.reason)
      }
      const onAbort = () => {
        stopWaiting()
        reject(abortedError(signal))
      }
      this.on('state', onState)
      signal?.addEventListener('abort', onAbort)
    })
  }

  /** @internal What holds now. */
  get options(): ParsedOptions {
    return this.#options
  }

  /** @internal Takes what may change and no session depends on: hooks, `bench`, `once`. */
  changeShell({ hooks, bench, once }: ParsedOptions): void {
    this.#hooks.change(hooks)
    this.#parley.isWelcome = bench
    this.#policy.once = once
    this.#options = { ...this.#options, hooks, bench, once }
  }

  /**
   * @internal Takes the routes, and what may change for the next dial, newcomer or session.
   *
   * @throws {@link ZPortalError} Then nothing has changed.
   */
  changeCore(next: ParsedOptions): void {
    const failure = this.#native.change(toNativeOptions(next))
    if (failure !== null) throw toError(failure)
    // What the shell keeps, and what takes a restart, stay.
    const { hooks, bench, once, mtuBytes, addresses } = this.#options
    this.#options = { ...next, hooks, bench, once, mtuBytes, addresses }
    this.#hooks.reroute(next.routes.map(formatRoute))
  }

  /** @internal Asks the peer to take part in a bench. */
  async askBench(): Promise<Invitation> {
    const { speech } = this.#peer ?? {}
    if (speech === undefined) {
      throw new ZPortalError('ZP_NOT_UP', `there is nothing to measure: ${this.name} is ${this.#state}`)
    }
    if (/^(original|silent)$/.test(speech)) {
      const why = speech === 'silent' ? 'the peer has said nothing yet' : 'the peer is an original zportald'
      throw new ZPortalError('ZP_BENCH', `${why}, which cannot be asked: iperf3 and ping through the tunnel measure it`)
    }
    return this.#parley.ask()
  }

  /** Closes the tunnel at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  readonly #onStep = (step: Step): void => {
    if (this.#ending !== undefined) return
    const previous = this.#state
    this.#state = step.state
    this.#peer = step.state === 'up' ? step.peer : undefined
    this.#reason = step.state === 'up' ? undefined : step.reason
    // The dials that failed after it are not what the session was lost by.
    if (step.state === 'waiting' && previous === 'up') this.#lost = step.reason
    if (step.state !== 'up') this.#parley.lost()
    this.#tell('state', { ...step, previous })
    if (step.state !== 'up') return
    void this.#hooks.up(step.peer.address, this.#lost).then((failure) => {
      if (failure !== undefined) void this.#end(failure)
    })
  }

  readonly #onAbort = (): void => {
    void this.#end(abortedError(this.#signal))
  }

  #end(reason: ZPortalError): Promise<void> {
    this.#ending ??= this.#tearDown(reason)
    return this.#ending
  }

  async #tearDown(reason: ZPortalError): Promise<void> {
    this.#resolveEnding()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    await this.#parley.close()
    // A close that fails has no one to tell but the log, and must not keep anyone waiting for `closed`.
    try {
      await this.#native.close()
    } catch (error) {
      this.#tell('notice', { level: 'warn', code: 'ZP_INTERNAL', message: `closing failed: ${String(error)}` })
    }
    await this.#hooks.down(reason)
    const previous = this.#state
    this.#state = 'closed'
    this.#peer = undefined
    this.#reason = reason
    this.#tell('state', { state: 'closed', previous, reason })
    await this.#backstage.close()
    this.#resolveClosed({ reason })
  }

  /** Emits, and keeps a listener's error away from the lifecycle, as Node does with those of timers and sockets. */
  #tell<Event extends keyof TunnelEvents>(event: Event, ...args: TunnelEvents[Event]): void {
    try {
      ;(this as EventEmitter).emit(event, ...args)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }
}

/** @internal Why nothing comes of it, or nothing more. */
export function abortedError(signal: AbortSignal | undefined): ZPortalError {
  return new ZPortalError('ZP_ABORTED', 'aborted by the signal that was given', { cause: signal?.reason as unknown })
}

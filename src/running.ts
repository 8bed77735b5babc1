/** Tunnels that run on this machine, whoever runs them, for programs: what `zportal status` and the others do. */

import type { Reloaded } from './control/serve.js'
import type { Change, Reason, TunnelStatus } from './control/status.js'
import { ZPortalError } from './errors.js'
import type { Peer, TunnelNotice, TunnelState } from './tunnel-events.js'

const DEFAULT_WAIT_MS = 30_000

/**
 * Which tunnel is meant: its device by name, or its control socket by path. With neither, the only one that runs in this
 * network namespace.
 */
export interface TunnelTarget {
  readonly name?: string | undefined
  readonly socket?: string | undefined
}

/** What happens to a running tunnel. The status comes first, so that nothing is missed between asking and listening. */
export type RunningEvent = {
  /** The version of its shape. */
  readonly version: number
  /** ISO 8601, UTC. */
  readonly at: string
  readonly name: string
} & (
  | { readonly event: 'status'; readonly status: TunnelStatus }
  | {
      readonly event: 'state'
      readonly state: TunnelState
      readonly previous: TunnelState
      readonly peer?: Peer
      readonly reason?: Reason
      readonly retryMs?: number
    }
  | ({ readonly event: 'notice' } & TunnelNotice)
)

/**
 * Every tunnel that runs in this network namespace and that this user may ask, by name.
 *
 * @throws {@link ZPortalError} `ZP_CONTROL` when one of those gives no answer.
 */
export async function listTunnels(): Promise<RunningTunnel[]> {
  const { findAll } = await import('./control/find.js')
  const found = await findAll()
  return found
    .filter(({ isForeign }) => !isForeign)
    .map(({ name, socket, failure }) => {
      if (failure !== undefined) throw failure
      return new RunningTunnel(name, socket)
    })
}

/**
 * A tunnel that runs in this network namespace.
 *
 * @throws {@link ZPortalError} `ZP_NOT_RUNNING`; `ZP_OPTION` when several could be meant; `ZP_CONTROL` when it gives no
 * answer.
 *
 * @example
 * ```ts
 * const tunnel = await findTunnel({ name: 'zt0' })
 * console.log((await tunnel.status()).stats.rttUs)
 * for await (const event of tunnel.events()) console.log(event)
 * ```
 */
export async function findTunnel(target: TunnelTarget = {}): Promise<RunningTunnel> {
  const { running } = await import('./control/target.js')
  const { name, socket } = await running(target, process.env)
  return new RunningTunnel(name, socket)
}

/**
 * Waits until traffic can flow through a tunnel, also through one that is yet to be started.
 *
 * @throws {@link ZPortalError} after `timeoutMs` (30000, if it is left out): `ZP_NOT_UP` when it runs, `ZP_NOT_RUNNING`
 * when it does not. `ZP_OPTION` for a time that a timer does not take.
 */
export async function waitForTunnel(
  target: TunnelTarget = {},
  { timeoutMs = DEFAULT_WAIT_MS }: { readonly timeoutMs?: number | undefined } = {},
): Promise<RunningTunnel> {
  const { waitUntilUp } = await import('./control/wait.js')
  const status = await waitUntilUp(target, timeoutMs, process.env)
  if (status !== undefined && status.state !== 'up') {
    const reason = status.reason === null ? '' : `: ${status.reason.message}`
    throw new ZPortalError('ZP_NOT_UP', `${status.name} is ${status.state} after ${timeoutMs / 1000} s${reason}`)
  }
  return findTunnel(target)
}

/** A tunnel that runs, in this process or another. Made by {@link findTunnel} and the others. */
export class RunningTunnel {
  /** @internal */
  constructor(
    /** The device. */
    readonly name: string,
    /** The path of its control socket. */
    readonly socket: string,
  ) {}

  /** How it is now; docs/CONTROL.md tells the fields. */
  async status(): Promise<TunnelStatus> {
    const { askStatus } = await import('./control/client.js')
    return this.#asked(askStatus(this.socket))
  }

  /**
   * What happens to it from now on, until it ends or the signal aborts.
   *
   * @throws {@link ZPortalError} `ZP_NOT_RUNNING` when it has ended before.
   */
  async *events({ signal }: { readonly signal?: AbortSignal | undefined } = {}): AsyncGenerator<RunningEvent> {
    const { askEvents } = await import('./control/client.js')
    const lines = askEvents(this.socket, signal)
    try {
      for (let line = await this.#asked(lines.next()); line.done !== true; line = await lines.next()) {
        yield JSON.parse(line.value) as RunningEvent
      }
    } finally {
      // Who leaves the loop hangs up.
      await lines.return(undefined)
    }
  }

  /** Lets it read its config file again. */
  async reload(): Promise<Reloaded> {
    const { askReload } = await import('./control/client.js')
    return this.#asked(askReload(this.socket))
  }

  /** Ends it; resolves with its last status once its device is gone. */
  async down(): Promise<TunnelStatus> {
    const { askDown } = await import('./control/client.js')
    return this.#asked(askDown(this.socket))
  }

  async #asked<T>(answer: Promise<T>): Promise<T> {
    const { NobodyThere } = await import('./control/client.js')
    try {
      return await answer
    } catch (error) {
      if (!(error instanceof NobodyThere)) throw error
      throw new ZPortalError('ZP_NOT_RUNNING', `${this.name} does not run any more`, { cause: error })
    }
  }
}

export type { Change, Reason, Reloaded, TunnelStatus }

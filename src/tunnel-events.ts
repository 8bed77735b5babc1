/** What a tunnel says of itself: its state, its peer, its counters, its notices, its end. */

import type { ZPortalError } from './errors.js'
import type { NativeHop, NativeNotice, NativeStats } from './native.js'

/**
 * Where a tunnel is in its life: `listening` for a server's first peer, `connecting` to a client's peer for the first
 * time, `up` with a peer, `waiting` for the next one or for the next dial, `closed` for good. `opening` is over once
 * {@link openTunnel} has resolved.
 */
export type TunnelState = 'opening' | 'listening' | 'connecting' | 'up' | 'waiting' | 'closed'

/** One hop of the way that a client dialed. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- see TunnelStats
export interface Hop extends Readonly<NativeHop> {}

/** Who is at the other end. */
export interface Peer {
  /** The address of its stream, or the way to it through the proxies. */
  readonly address: string
  /** How long the client's dial took, or the server waited for a peer; milliseconds. */
  readonly dialMs: number
  /**
   * The hops that the client dialed, the nearest first and the peer last. Empty on a server.
   */
  readonly hops: readonly Hop[]
  /**
   * How it speaks: `original` (plain frames only), `silent` (nothing has come yet), or the version and features that
   * both ends agreed on. For people; programs should not depend on the wording.
   */
  readonly speech: string
}

/** Totals since the tunnel opened, and never reset. */
// An interface, because what an interface inherits stands in the reference, and what an alias means does not.
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- see above
export interface TunnelStats extends Readonly<NativeStats> {}

/** Something worth knowing that changes no state, such as two ends whose MTUs differ. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- as above
export interface TunnelNotice extends Readonly<NativeNotice> {}

/**
 * A change of state: `peer` is there when it went up, `reason` when a session, a dial or the whole tunnel ended. A client
 * that will dial again says in `retryMs` after how long at the latest; each dial that fails is a change from `waiting` to
 * `waiting` with its own reason.
 */
export type StateChange =
  | { readonly state: 'listening' | 'connecting'; readonly previous: TunnelState; peer?: undefined; reason?: undefined }
  | { readonly state: 'up'; readonly previous: TunnelState; readonly peer: Peer; readonly reason?: undefined }
  | {
      readonly state: 'waiting'
      readonly previous: TunnelState
      readonly peer?: undefined
      readonly reason: ZPortalError
      readonly retryMs?: number | undefined
    }
  | {
      readonly state: 'closed'
      readonly previous: TunnelState
      readonly peer?: undefined
      readonly reason: ZPortalError
    }

export interface TunnelEvents {
  state: [change: StateChange]
  notice: [notice: TunnelNotice]
}

/** Why a tunnel is closed: `ZP_CLOSED` when {@link Tunnel.close} asked for it, `ZP_ABORTED` when its signal did. */
export interface TunnelEnd {
  readonly reason: ZPortalError
}

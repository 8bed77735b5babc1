/** What a running tunnel says of itself. The shape is versioned: fields may be added, none changes its meaning in one. */

import { createRequire } from 'node:module'
import type { ZPortalError } from '../errors.js'
import type { Rates } from '../face/rates.js'
import type { Peer, StateChange, TunnelState, TunnelStats } from '../tunnel-events.js'
import type { Tunnel } from '../tunnel.js'

/** The version of every JSON document that a control socket or a command gives. */
export const STATUS_VERSION = 1

/** An error as data. */
export interface Reason {
  readonly code: string
  readonly message: string
  readonly errno?: number
  readonly hop?: number
}

/** A change of state, with its time. */
export interface Change {
  /** ISO 8601, UTC. */
  readonly at: string
  readonly state: TunnelState
  readonly previous: TunnelState
  /** The peer's address when it went up. */
  readonly peer?: string
  /** The code of why it is up no longer. */
  readonly reason?: string
}

/** `GET /status`. */
export interface TunnelStatus {
  readonly version: typeof STATUS_VERSION
  /** The device. */
  readonly name: string
  readonly role: 'server' | 'client'
  readonly state: TunnelState
  /** When it came into this state (ISO 8601, UTC), and how many milliseconds ago by a clock that nobody sets. */
  readonly since: string
  readonly stateMs: number
  readonly openedAt: string
  readonly pid: number
  /** The version of ZPortal that runs it. */
  readonly zportal: string
  /** The network namespace it is in, as in /proc/PID/ns/net. */
  readonly netns: number
  /** The config file it was started from. */
  readonly config: string | null
  readonly mtu: number
  readonly addresses: readonly string[]
  /** Where a server listens. */
  readonly local: string | null
  /** Whom a client dials. */
  readonly connect: string | null
  /** The way there, without passwords. */
  readonly proxies: readonly string[]
  readonly peer: Peer | null
  /** Why there is no peer any more. */
  readonly reason: Reason | null
  /** In how many milliseconds a client that waits dials again, counted from the change of state. */
  readonly retryMs: number | null
  /** Over the last second. */
  readonly rates: Rates
  readonly stats: TunnelStats
  /** Changes of state, the oldest first. */
  readonly history: readonly Change[]
}

/** What a status tells beside what the tunnel knows itself. */
export interface Facts {
  readonly openedAt: Date
  readonly netns: number
  readonly config: string | undefined
  readonly mtu: number
  readonly addresses: readonly string[]
  readonly connect: string | undefined
  readonly proxies: readonly string[]
}

/** What the recorder of a tunnel knows. */
export interface Recorded {
  readonly since: Date
  readonly stateMs: number
  readonly last: StateChange | undefined
  readonly rates: Rates
  readonly history: readonly Change[]
}

export function statusOf(tunnel: Tunnel, facts: Facts, recorded: Recorded): TunnelStatus {
  const { last } = recorded
  return {
    version: STATUS_VERSION,
    name: tunnel.name,
    role: tunnel.role,
    state: tunnel.state,
    since: recorded.since.toISOString(),
    stateMs: Math.round(recorded.stateMs),
    openedAt: facts.openedAt.toISOString(),
    pid: process.pid,
    zportal: packageVersion(),
    netns: facts.netns,
    config: facts.config ?? null,
    mtu: facts.mtu,
    addresses: facts.addresses,
    local: tunnel.local ?? null,
    connect: facts.connect ?? null,
    proxies: facts.proxies,
    peer: tunnel.peer ?? null,
    reason: last?.reason === undefined ? null : reasonOf(last.reason),
    retryMs: retryOf(last),
    rates: recorded.rates,
    stats: tunnel.stats(),
    history: recorded.history,
  }
}

export function reasonOf({ code, message, errno, hop }: ZPortalError): Reason {
  return { code, message, ...(errno === undefined ? {} : { errno }), ...(hop === undefined ? {} : { hop }) }
}

export function packageVersion(): string {
  return (createRequire(import.meta.url)('zportal/package.json') as { version: string }).version
}

function retryOf(change: StateChange | undefined): number | null {
  const { retryMs } = (change ?? {}) as { retryMs?: number }
  return retryMs ?? null
}

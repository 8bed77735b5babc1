/**
 * What was found, thing by thing. An id never changes its meaning; docs/DOCTOR.md tells what each one looks at, and a
 * test holds that table equal to {@link FINDING_IDS}.
 */

import type { ErrorCode } from '../errors.js'

/** Everything that is looked at, in the order in which it is told. `proxy.N` counts from 0, the nearest. */
export const FINDING_IDS = [
  'native.addon',
  'kernel.version',
  'io-uring',
  'process.net-admin',
  'tun.device',
  'tun.create',
  'tun.offloads',
  'device.name',
  'tcp.congestion',
  'inner.mtu',
  'inner.addresses',
  'inner.routes',
  'listen.address',
  'way.overlap',
  'proxy.N',
  'peer',
  'peer.mtu',
  'peer.addresses',
] as const

export type FindingId = Exclude<(typeof FINDING_IDS)[number], 'proxy.N'> | `proxy.${number}`

/** `warn`: a tunnel opens, and does not do all that it could, or may meet trouble. `fail`: it does not work. */
export type FindingStatus = 'pass' | 'warn' | 'fail'

/** One thing that was looked at. */
export interface Finding {
  /** Stable. What could not be looked at, because something else stands in the way, has no finding. */
  readonly id: FindingId
  readonly status: FindingStatus
  /** What was found, as a sentence. */
  readonly message: string
  /** What to do about it; always there unless it passes. */
  readonly cure?: string
  /** The code with which a tunnel fails for this reason. */
  readonly code?: ErrorCode
  /** How long the hop took to answer, in milliseconds. */
  readonly ms?: number
}

export function pass(id: FindingId, message: string, more: Pick<Finding, 'ms'> = {}): Finding {
  return { id, status: 'pass', message, ...more }
}

export function warn(id: FindingId, message: string, cure: string, more: Pick<Finding, 'ms' | 'code'> = {}): Finding {
  return { id, status: 'warn', message, cure, ...more }
}

export function fail(id: FindingId, message: string, cure: string, more: Pick<Finding, 'ms' | 'code'> = {}): Finding {
  return { id, status: 'fail', message, cure, ...more }
}

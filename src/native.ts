/**
 * The one file that loads the addon, and the shape of what it exports.
 *
 * Expected failures cross the border as values; {@link settle} turns them into a thrown {@link ZPortalError}.
 */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { formatInnerAddress, formatStreamAddress } from './address.js'
import type { ErrorCode } from './errors.js'
import { ERROR_CODES, ZPortalError } from './errors.js'
import type { NativeProbe } from './native-probe.js'
import type { ParsedOptions } from './options.js'
import type { Proxy } from './proxy.js'
import { formatRoute } from './route.js'

export interface NativeOptions {
  name: string
  mtuBytes: number
  addresses: string[]
  /** Networks to route into the tunnel. */
  routes: string[]
  bind?: string
  /** Networks that a server's peer may come from over TCP; empty: all. */
  allow: string[]
  connect?: string
  /** The one nearest to us first. */
  proxies: NativeProxy[]
  dialTimeoutMs: number
  offload: boolean
  congestion?: string
  soMark?: number
}

export interface NativeProxy {
  kind: 'socks5' | 'http' | 'tor'
  address: string
  user?: string
  password?: string
}

export interface NativeHop {
  /** Where it is, as the hop before it was told. */
  address: string
  /** What it is. */
  kind: 'socks5' | 'http' | 'tor' | 'peer'
  /** How long it took to get there from the hop before, in milliseconds. */
  ms: number
}

export interface NativeFailure {
  code: string
  message: string
  errno?: number
  hop?: number
  cause?: string
}

export interface NativePeer {
  address: string
  dialMs: number
  hops: NativeHop[]
  speech: string
}

export interface NativeNotice {
  level: 'info' | 'warn'
  code: string
  message: string
}

/** Totals since the tunnel opened. `tx` goes from the device to the peer, `rx` from the peer to the device. */
export interface NativeStats {
  /** Packets inside the tunnel. A super-packet counts as the packets that it stands for. */
  txPackets: number
  rxPackets: number
  /** Bytes of those packets. */
  txBytes: number
  rxBytes: number
  /** Frames on the stream; those that carry no packet are among them. */
  txFrames: number
  rxFrames: number
  /** Bytes of the stream, headers included. */
  streamTxBytes: number
  streamRxBytes: number
  /** Packets dropped because there was no peer. */
  dropsDown: number
  /** Packets dropped because the peer does not take their size or kind. */
  dropsOversize: number
  /** Packets that the kernel refused: not IP, or the device was down; or that it could not hand over. */
  dropsTun: number
  /** Packets dropped for an offload header that must not reach the kernel. */
  dropsHeader: number
  /** Packets dropped because their flow kept a standing queue (RFC 8289). */
  dropsCodel: number
  /** Packets dropped because the queue was full. */
  dropsOverlimit: number
  /** Connections that became the peer. */
  peersAccepted: number
  /** How often a client came back to its peer after the first time. */
  reconnects: number
  /** Connections turned away. */
  peersRefused: number
  /** Control messages of a kind that this version does not know, skipped. */
  unknownControls: number
  /** Packets that wait in the queue now; a super-packet counts as one. */
  queuePackets: number
  /** Bytes that wait in the queue now. */
  queueBytes: number
  /** What the link was seen to carry, bytes a second; 0 while nothing is known. */
  rateBytesPerSecond: number
  /** The round trip to the peer's ZPortal and back, smoothed, microseconds; 0 while not known. */
  rttUs: number
  /** The shortest round trip of the last seconds, microseconds; 0 while not known. */
  minRttUs: number
  /** What may be on its way to the peer now, bytes; 0 where nothing is held back. */
  windowBytes: number
  /** What half of the packets of the last seconds waited in the queue at the most, microseconds. */
  sojournP50Us: number
  /** What all but one in a hundred of them waited at the most, microseconds. */
  sojournP99Us: number
  /** The same of the flows that send less than their share: lookups of names, key presses. */
  sojournSparseP99Us: number
  /** Packets marked as having met congestion (RFC 3168) where others would have been dropped. */
  marksCe: number
}

export type Outcome<T> = { value: T; failure?: undefined } | { value?: undefined; failure: NativeFailure }

export interface NativeTunnel {
  readonly name: string
  /** Where it listens, with port 0 resolved. */
  readonly local?: string | null
  /**
   * Dials or accepts one peer, whose session then runs by itself. A dial begins after `pauseMs`, or earlier when the
   * network comes back.
   */
  establish(pauseMs: number): Promise<Outcome<NativePeer>>
  /** Why the current session ended; at once if it has ended already. */
  ended(): Promise<NativeFailure>
  /** Asks its thread for a sign of life; whether it has given the last one. Ask seconds apart. */
  isAlive(): boolean
  /**
   * Takes from other options what may change while the tunnel is open: where and how a client dials, who may come to a
   * server, the congestion control. The failure, if they are refused.
   */
  change(options: NativeOptions): NativeFailure | null
  /** Says a word to the peer's shell; false if too many wait to be sent. What answers, `onWord` hears. */
  say(word: string): boolean
  /** The counters now; they stay readable after the end. */
  stats(): NativeStats
  /** Ends the session and removes the device, the socket file and the thread. Idempotent. */
  close(): Promise<void>
}

/** A lock that the kernel lets go when its process ends, however it ends. */
export interface NativeLock {
  /** Removes the file and lets go. Idempotent. */
  release(): void
}

export interface NativeAddon {
  FileLock: {
    /** Takes the lock, making the file if need be; null while somebody else holds it. */
    take(path: string): NativeLock | null
  }
  NativeTunnel: {
    open(
      options: NativeOptions,
      onNotice: (notice: NativeNotice) => void,
      onWord: (word: string) => void,
    ): Promise<Outcome<NativeTunnel>>
  }
  /** What can be found out before there is a tunnel. */
  NativeProbe: NativeProbe
  /** Sends one datagram to a Unix socket, by its path or as `@name`; the errno of what went wrong. */
  sdNotify(socket: string, state: string): number | null
  /** Every error code that the core knows. */
  codes(): string[]
}

/** @internal The platforms that have a package. */
export const PLATFORMS = ['linux-x64-gnu', 'linux-x64-musl', 'linux-arm64-gnu', 'linux-arm64-musl']

let loaded: NativeAddon | undefined

/**
 * Loads the addon for this machine, once.
 *
 * @throws {@link ZPortalError} `ZP_NATIVE` with the platform, the architecture and the C library, and what to do.
 */
export function loadNative(): NativeAddon {
  loaded ??= load(platform(), createRequire(import.meta.url))
  return loaded
}

/** @internal Loads from the folder where `npm run build` leaves the addon, else from the platform's package. */
export function load(platform: string, require: NodeJS.Require): NativeAddon {
  if (!PLATFORMS.includes(platform)) {
    throw new ZPortalError('ZP_NATIVE', `ZPortal runs on ${PLATFORMS.join(', ')}; this is ${platform}`)
  }
  try {
    // From here as from any bundle of this package, its name leads to its own root.
    const built = join(dirname(require.resolve('zportal/package.json')), 'npm', platform, `zportal.${platform}.node`)
    return require(existsSync(built) ? built : `zportal-${platform}`) as NativeAddon
  } catch (cause) {
    const [why, cure] = explain(platform, cause)
    throw new ZPortalError('ZP_NATIVE', `cannot load the native part for ${platform}: ${why}; ${cure}`, { cause })
  }
}

function explain(platform: string, cause: unknown): [why: string, cure: string] {
  const again = 'install zportal again without --omit=optional, or run npm run build in a clone'
  if (cause instanceof Error && 'code' in cause && cause.code === 'MODULE_NOT_FOUND') {
    return [`the package zportal-${platform} is not installed`, again]
  }
  // The loader's own words for a C library that is older than the one that the package was linked against.
  const glibc = /version `GLIBC_([\d.]+)' not found/.exec(String(cause))?.[1]
  if (glibc === undefined) return [String(cause), again]
  return [`it needs glibc ${glibc} or newer`, 'use a newer system, or run npm run build in a clone on this one']
}

function platform(): string {
  return [process.platform, process.arch, ...(process.platform === 'linux' ? [libc()] : [])].join('-')
}

function libc(): 'gnu' | 'musl' {
  // Node's own header says against which C library it runs. Without this switch the report asks the network for names.
  // The types of Node 20 do not know it yet.
  const { report } = process as { report: NodeJS.ProcessReport & { excludeNetwork?: boolean } }
  const before = report.excludeNetwork
  report.excludeNetwork = true
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
  if (before !== undefined) report.excludeNetwork = before
  return header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
}

/** What the addon is given: the same values in the spelling of the contract. */
export function toNativeOptions(options: ParsedOptions): NativeOptions {
  const common = {
    name: options.name,
    mtuBytes: options.mtuBytes,
    addresses: options.addresses.map(formatInnerAddress),
    routes: options.routes.map(formatRoute),
    offload: options.offload,
    ...(options.congestion === undefined ? {} : { congestion: options.congestion }),
    ...(options.soMark === undefined ? {} : { soMark: options.soMark }),
  }
  return options.role === 'server'
    ? {
        ...common,
        bind: formatStreamAddress(options.bind),
        allow: options.allow.map(formatInnerAddress),
        proxies: [],
        dialTimeoutMs: 0,
      }
    : {
        ...common,
        connect: formatStreamAddress(options.connect),
        allow: [],
        proxies: options.proxies.map(toNativeProxy),
        dialTimeoutMs: options.dialTimeoutMs,
      }
}

/** A proxy in the spelling of the addon: with its login, which nothing else may see. */
export function toNativeProxy({ kind, address, login }: Proxy): NativeProxy {
  return {
    kind,
    address: formatStreamAddress(address),
    ...(login === undefined ? {} : { user: login.user.reveal(), password: login.password?.reveal() ?? '' }),
  }
}

/**
 * Asks the addon for something and waits for its value.
 *
 * @throws {@link ZPortalError} the failure that came instead.
 */
export async function settle<T>(ask: () => Promise<Outcome<T>>): Promise<T> {
  const { value, failure } = await guard(ask)
  if (failure !== undefined) throw toError(failure)
  if (value === undefined) throw new ZPortalError('ZP_INTERNAL', 'the native part gave neither a value nor a failure')
  return value
}

/** Asks the addon for something that has no expected failure: whatever is thrown here is a defect of ours. */
export async function guard<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new ZPortalError('ZP_INTERNAL', `internal error, please report it: ${detail}`, { cause })
  }
}

/** The error that a failure of the core becomes. */
export function toError({ code, message, errno, hop, cause }: NativeFailure): ZPortalError {
  const known = (ERROR_CODES as readonly string[]).includes(code)
  return known
    ? new ZPortalError(code as ErrorCode, message, { errno, hop, cause })
    : new ZPortalError('ZP_INTERNAL', `the native part gave an unknown code ${code}: ${message}`, { errno, hop, cause })
}

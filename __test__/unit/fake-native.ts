/** An addon without a kernel: tests decide when a peer comes, why it leaves and what fails. */

import { rmSync, writeFileSync } from 'node:fs'

import type {
  NativeAddon,
  NativeFailure,
  NativeLock,
  NativeNotice,
  NativeOptions,
  NativePeer,
  NativeStats,
  NativeTunnel,
  Outcome,
} from '../../src/native.js'
import type { NativeProbe } from '../../src/native-probe.js'

export const PEER: NativePeer = { address: '192.0.2.9:4711', dialMs: 3, hops: [], speech: 'original' }

export const NO_STATS: NativeStats = {
  txPackets: 0,
  rxPackets: 0,
  txBytes: 0,
  rxBytes: 0,
  txFrames: 0,
  rxFrames: 0,
  streamTxBytes: 0,
  streamRxBytes: 0,
  dropsDown: 0,
  dropsOversize: 0,
  dropsTun: 0,
  dropsHeader: 0,
  dropsCodel: 0,
  dropsOverlimit: 0,
  queuePackets: 0,
  queueBytes: 0,
  rateBytesPerSecond: 0,
  rttUs: 0,
  minRttUs: 0,
  windowBytes: 0,
  sojournP50Us: 0,
  sojournP99Us: 0,
  sojournSparseP99Us: 0,
  marksCe: 0,
  peersAccepted: 0,
  reconnects: 0,
  peersRefused: 0,
  unknownControls: 0,
}

export function failure(code: string): NativeFailure {
  return { code, message: `${code} happened` }
}

/** Behaves as the core does: one establish at a time, and everything pending ends with ZP_CLOSED at the close. */
export class FakeTunnel implements NativeTunnel {
  readonly name = 'zt7'
  readonly local: string | null
  alive = true
  closes = 0
  establishes = 0
  /** What each dial was to wait. */
  readonly pausesMs: number[] = []
  /** Packets that came from the peer. */
  packets = 0
  closeError: Error | undefined
  #establishing: PromiseWithResolvers<Outcome<NativePeer>> | undefined
  #session: PromiseWithResolvers<NativeFailure> | undefined

  constructor(local: string | null) {
    this.local = local
  }

  /** What it was told to change to. */
  readonly changes: NativeOptions[] = []
  changeFailure: NativeFailure | null = null

  change(options: NativeOptions): NativeFailure | null {
    this.changes.push(options)
    return this.changeFailure
  }

  /** What this end's shell said to the peer's. */
  readonly said: string[] = []

  say(word: string): boolean {
    this.said.push(word)
    return true
  }

  isAlive(): boolean {
    return this.alive
  }

  establish(pauseMs: number): Promise<Outcome<NativePeer>> {
    this.establishes += 1
    this.pausesMs.push(pauseMs)
    this.#establishing = withResolvers()
    return this.#establishing.promise
  }

  ended(): Promise<NativeFailure> {
    this.#session ??= withResolvers()
    return this.#session.promise
  }

  stats(): NativeStats {
    return { ...NO_STATS, peersAccepted: this.establishes, rxPackets: this.packets }
  }

  close(): Promise<void> {
    this.closes += 1
    this.#establishing?.resolve({ failure: failure('ZP_CLOSED') })
    this.#session?.resolve(failure('ZP_CLOSED'))
    return this.closeError === undefined ? Promise.resolve() : Promise.reject(this.closeError)
  }

  /** Lets a peer come. */
  async peerComes(peer = PEER): Promise<void> {
    this.#session = undefined
    this.#establishing?.resolve({ value: peer })
    await turn()
  }

  /** Lets looking for a peer fail. */
  async peerFails(code: string): Promise<void> {
    this.#establishing?.resolve({ failure: failure(code) })
    await turn()
  }

  /** Breaks the addon itself. */
  async breaks(error: Error): Promise<void> {
    this.#establishing?.reject(error)
    await turn()
  }

  /** Lets the session end. */
  async peerLeaves(code = 'ZP_PEER_CLOSED'): Promise<void> {
    this.#session?.resolve(failure(code))
    await turn()
  }
}

/** Locks as the addon has them, within one process: by path, until they are released. */
export class FakeLocks {
  static readonly #held = new Set<string>()

  readonly take = (path: string): NativeLock | null => {
    if (FakeLocks.#held.has(path)) return null
    writeFileSync(path, '')
    FakeLocks.#held.add(path)
    return {
      release: () => {
        rmSync(path, { force: true })
        FakeLocks.#held.delete(path)
      },
    }
  }
}

/** The addon, and what a test wants to know of it. */
export class FakeAddon implements NativeAddon {
  opened: NativeOptions[] = []
  tunnel = new FakeTunnel('192.0.2.1:7000')
  notify: (notice: NativeNotice) => void = () => undefined
  /** Lets the peer's shell say something. */
  peerSays: (word: string) => void = () => undefined
  /** What `open` does instead of succeeding. */
  onOpen: (() => Promise<Outcome<NativeTunnel>>) | undefined

  readonly NativeTunnel = {
    open: (
      options: NativeOptions,
      onNotice: (notice: NativeNotice) => void,
      onWord: (word: string) => void,
    ): Promise<Outcome<NativeTunnel>> => {
      this.opened.push(options)
      this.notify = onNotice
      this.peerSays = onWord
      return this.onOpen?.() ?? Promise.resolve({ value: this.tunnel })
    },
  }

  /** A machine that lets everything be done, and a way to a peer that says nothing. */
  readonly NativeProbe: NativeProbe = {
    device: () => Promise.resolve({ offloads: ['TSO4', 'TSO6', 'USO4', 'USO6'] }),
    ring: () => Promise.resolve({}),
    congestion: () => Promise.resolve({}),
    listen: () => Promise.resolve({}),
    way: ({ connect, proxies }) =>
      Promise.resolve({
        hops: [
          ...proxies.map(({ address }) => ({ address, ms: 1, answer: 'reached' as const })),
          { address: connect, ms: 2, answer: 'silent' as const },
        ],
      }),
  }
  readonly FileLock = new FakeLocks()

  sdNotify(): number | null {
    return null
  }

  codes(): string[] {
    return []
  }
}

/** One turn of the event loop: everything that was ready has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: Error) => void
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  const resolvers: Partial<PromiseWithResolvers<T>> = {}
  const promise = new Promise<T>((resolve, reject) => Object.assign(resolvers, { resolve, reject }))
  return Object.assign(resolvers, { promise }) as PromiseWithResolvers<T>
}

/** The shape of what the addon finds out before there is a tunnel; see the core's `probe`. */

import type { NativeFailure, NativeProxy } from './native.js'

/** Questions to the machine and the network. Each leaves nothing behind. */
export interface NativeProbe {
  /** Creates the device of that name and removes it again. */
  device(name: string): Promise<DeviceProbe>
  /** Sends one operation through an io_uring. */
  ring(): Promise<PlainProbe>
  /** Sets a congestion control on a TCP socket; may load the kernel's module for it. */
  congestion(name: string): Promise<CongestionProbe>
  /** Listens there for a moment. */
  listen(address: string): Promise<PlainProbe>
  /** Dials each hop in turn through those before it, and hears what the peer says. */
  way(questions: WayQuestions): Promise<WayProbe>
}

export interface DeviceProbe {
  /** The super-packets that the kernel takes there, by the names in HELLO (docs/WIRE.md). */
  offloads?: string[]
  failure?: NativeFailure
}

export interface PlainProbe {
  failure?: NativeFailure
}

export interface CongestionProbe {
  errno?: number
}

export interface WayQuestions {
  connect: string
  proxies: NativeProxy[]
  /** For the dial to each hop. */
  timeoutMs: number
  soMark?: number
  mtuBytes: number
  addresses: string[]
}

export interface WayProbe {
  /** As far as it got; the last is the peer, or what failed. */
  hops?: HopProbe[]
  /** Why nothing was tried. */
  failure?: NativeFailure
}

export interface HopProbe {
  address: string
  ms: number
  answer?: 'reached' | 'hello' | 'original' | 'silent' | 'hung-up' | 'stranger'
  version?: number
  otherMtuBytes?: number
  sharesAddress?: boolean
  busy?: boolean
  failure?: NativeFailure
}

/**
 * From flags to the options of the API. Nothing is judged here: what cannot be read as a number stays text, so that the
 * one door in `options.ts` refuses it and quotes what was written.
 */

import type { TunnelOptions } from '../options.js'

/** What the flags of `zportal up` and `zportald` have in common. */
export interface TunnelFlags {
  readonly name?: string | undefined
  readonly mtu?: string | undefined
  readonly address?: readonly string[] | undefined
  readonly bind?: string | undefined
  readonly connect?: string | undefined
  readonly proxy?: readonly string[] | undefined
  readonly dialTimeoutMs?: number | string | undefined
  readonly offload?: boolean | undefined
  readonly congestion?: string | undefined
}

/** The options that the flags ask for, right or wrong: only `openTunnel` can tell, so the type is a promise it checks. */
export function tunnelOptions(flags: TunnelFlags): TunnelOptions {
  const { name, mtu, address, bind, connect, proxy, dialTimeoutMs, offload, congestion } = flags
  const asked: unknown = {
    name,
    mtu: mtu === undefined ? undefined : numberOrText(mtu),
    addresses: address,
    bind,
    connect,
    proxies: proxy,
    dialTimeoutMs,
    offload,
    congestion,
  }
  return asked as TunnelOptions
}

/** Milliseconds from seconds as written, or what was written when that is no number. */
export function secondsToMs(text: string | undefined): number | string | undefined {
  if (text === undefined) return undefined
  const seconds = numberOrText(text)
  return typeof seconds === 'number' ? Math.round(seconds * 1000) : seconds
}

function numberOrText(text: string): number | string {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text
}

/**
 * A transfer over UDP through the tunnel, whose data both ends hash and whose datagrams are counted and measured: equal,
 * in order and in the same pieces, or it fails.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'
import type { Child } from './process.js'
import type { Family } from './topology.js'

const SCRIPT = fileURLToPath(new URL('inside/datagrams.pl', import.meta.url))

const DEADLINE_MS = 30_000

/** Bytes of an IP and a UDP header, without options or extension headers. */
export const UDP_HEADERS_BYTES: Record<Family, number> = { ipv4: 28, ipv6: 48 }

/** `segmented`: the kernel gets bursts in one piece (UDP_SEGMENT); `single`: each datagram by itself. */
export type How = 'segmented' | 'single'

interface Seen {
  datagrams: number
  bytes: number
  sha256: string
}

export interface DatagramsOptions {
  how: How
  /** The bursts, as `inside/datagrams.pl` reads them. */
  plan: string
  /** All payloads together, without the 8 bytes in front of each. */
  bytes: number
  seed?: string
}

/** Sends random bytes in datagrams from one namespace to an address in the other; gives what each end saw. */
export async function datagrams(
  from: Namespace,
  to: { namespace: Namespace; address: string },
  { how, plan, bytes, seed = 'zportal' }: DatagramsOptions,
): Promise<{ sent: Seen; received: Seen }> {
  await using receiver = to.namespace.spawn(['perl', SCRIPT, 'receive', to.address])
  const port = Number((await receiver.line(/"port":(\d+)/))[1])
  const payload = noise(bytes, seed)
  await using sender = send(from, { address: to.address, port }, how, plan, payload)
  const [[sent], [received]] = await Promise.all([
    sender.line(/\{.*"datagrams".*\}/, { deadlineMs: DEADLINE_MS }),
    receiver.line(/\{.*"datagrams".*\}/, { deadlineMs: DEADLINE_MS }),
  ])
  await sender.exitsWith(0)
  await receiver.exitsWith(0)
  return { sent: { ...(JSON.parse(sent) as Seen), sha256: sha256(payload) }, received: JSON.parse(received) as Seen }
}

/** Sends the bytes with UDP_SEGMENT to an address where nobody answers. */
export async function blindDatagrams(
  from: Namespace,
  to: { address: string; port: number },
  { plan, payload }: { plan: string; payload: Buffer },
): Promise<void> {
  await using sender = send(from, to, 'blind', plan, payload)
  await sender.exitsWith(0)
}

function send(
  from: Namespace,
  { address, port }: { address: string; port: number },
  how: How | 'blind',
  plan: string,
  payload: Buffer,
): Child {
  const sender = from.spawn(['perl', SCRIPT, 'send', address, String(port), how, plan])
  sender.stdin.end(payload)
  return sender
}

/** The AES-CTR key stream of a seed: nothing in it repeats, and a failure can be repeated. */
export function noise(bytes: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

/** The largest payload of one datagram through a tunnel. */
export function largestDatagramBytes(mtuBytes: number, family: Family): number {
  return mtuBytes - UDP_HEADERS_BYTES[family]
}

/** The most that the kernel takes of one `send` with UDP_SEGMENT: one packet's worth of bytes, and so many segments. */
const BURST_MAX_BYTES = 65_535 - UDP_HEADERS_BYTES.ipv6
const BURST_MAX_SEGMENTS = 64

/**
 * Bursts for datagrams of at most `largestBytes`: as many as go into one super-packet, with a shorter one at the end;
 * many small ones; odd sizes; one alone, which is none; and a burst whose last is as long as the others.
 */
export function burstsOf(largestBytes: number): string {
  const half = Math.floor(largestBytes / 2)
  const many = Math.min(Math.floor((BURST_MAX_BYTES - half) / largestBytes), BURST_MAX_SEGMENTS - 1)
  const bursts = [
    ...(many > 0 ? [`${many}x${largestBytes}+${half}`] : []),
    `50x100+9`,
    `1x${largestBytes}`,
    `${Math.min(many + 1, 3)}x${Math.min(largestBytes - 1, BURST_MAX_BYTES)}`,
    `7x333+332`,
    `${Math.min(Math.floor(BURST_MAX_BYTES / half), BURST_MAX_SEGMENTS)}x${half}`,
  ]
  return bursts.join(',')
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

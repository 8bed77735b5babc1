/**
 * What each option may be, by itself: which values are sound, what they become, and what is said about the others. The
 * rules across options are in options.ts; no type that callers see is here, or they would need zod's.
 */

import { z } from 'zod'
import type { LoopbackAddress, Parsed } from './address.js'
import { parseInnerAddress, parseNetwork, parseStreamAddress } from './address.js'
import { DEFAULT_TOR, readPasswordFile } from './chain.js'
import { parseProxy } from './proxy.js'
import { redact } from './redact.js'
import { parseRoute } from './route.js'
import { Secret } from './secret.js'

const MTU_MIN_BYTES = 68
const MTU_MAX_BYTES = 65_535
/** RFC 8200: every IPv6 link carries packets of this size. The kernel takes IPv6 off a device with a smaller MTU. */
export const MTU_MIN_IPV6_BYTES = 1280
/** Longer chains are mistakes: each hop adds a round trip to the dial and its queue to every packet. */
const PROXIES_MAX = 16
/** Each newcomer is compared with all of them; longer lists belong into a firewall. */
const ALLOW_MAX = 256
const DIAL_TIMEOUT_MAX_MS = 3_600_000
const SO_MARK_MAX = 0xffff_ffff
const HOOK_TIMEOUT_MAX_MS = 3_600_000
/** IFNAMSIZ of linux/if.h less the byte that ends the name. */
const NAME_MAX_BYTES = 15
/** As much of a refused string as a message shows. */
const SHOWN_MAX_CHARS = 120

/** What a message says about a value that was refused: the value, cut short, without user and password, and its type. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (typeof value === 'string') {
    const safe = redact(value)
    const shown = safe.length > SHOWN_MAX_CHARS ? `${safe.slice(0, SHOWN_MAX_CHARS)}…` : safe
    return `${JSON.stringify(shown)} (string)`
  }
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return `${String(value)} (${typeof value})`
  }
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

const streamAddress = (lowestPort: 0 | 1) => text('an address', (value) => parseStreamAddress(value, lowestPort))

/** Each option by itself. */
export const FIELDS = {
  name: text('a device name such as zt0 or tun%d', parseName),
  mtu: integer(MTU_MIN_BYTES, MTU_MAX_BYTES, 'bytes'),
  addresses: list('addresses such as 10.10.0.1/24', text('an address', parseInnerAddress)),
  routes: list('networks such as 10.0.0.0/8', text('a network', parseRoute)),
  bind: streamAddress(0),
  allow: list('networks such as 192.0.2.0/24', text('a network', parseNetwork)).max(ALLOW_MAX, {
    error: (issue) => `must have at most ${ALLOW_MAX} networks, got ${describe(issue.input)}`,
  }),
  connect: streamAddress(1),
  proxies: list('proxies such as socks5://192.0.2.1:1080', text('a proxy', parseProxy)).max(PROXIES_MAX, {
    error: (issue) => `must have at most ${PROXIES_MAX} proxies, got ${describe(issue.input)}`,
  }),
  proxyPasswords: passwords(),
  proxyPasswordFile: text('the path of a file', readPasswordFile),
  tor: z.preprocess(
    (value) => (value === true ? DEFAULT_TOR : value === false ? undefined : value),
    streamAddress(1).optional(),
  ),
  torNewCircuit: toggle(),
  dialTimeoutMs: integer(1, DIAL_TIMEOUT_MAX_MS, 'milliseconds'),
  offload: toggle(),
  once: toggle(),
  congestion: text('the name of a congestion control such as bbr', parseCongestion),
  soMark: integer(1, SO_MARK_MAX, 'a firewall mark'),
  control: z.union([z.boolean(), text('a path', parseControl)], {
    error: (issue) =>
      `must be true (on), false (off) or the path of a socket with a / in it, got ${describe(issue.input)}`,
  }),
  bench: toggle(),
  metrics: text('a loopback address such as 127.0.0.1:9100', parseLoopback),
  hooks: z.strictObject(
    {
      up: command().optional(),
      down: command().optional(),
      reconnect: command().optional(),
      timeoutMs: integer(1, HOOK_TIMEOUT_MAX_MS, 'milliseconds').optional(),
      required: toggle().optional(),
    },
    {
      error: (issue) =>
        `must be an object of up, down, reconnect, timeoutMs and required, got ${describe(issue.input)}`,
    },
  ),
  signal: z.custom<AbortSignal>((value) => value instanceof AbortSignal, {
    error: (issue) => `must be an AbortSignal, got ${describe(issue.input)}`,
  }),
}

/** The options that are sound, as what they became. */
export type Sound = { -readonly [Key in keyof typeof FIELDS]?: z.output<(typeof FIELDS)[Key]> }

function text<T>(what: string, read: (text: string) => Parsed<T>) {
  return z
    .string({ error: (issue) => `must be ${what} as a string, got ${describe(issue.input)}` })
    .transform((value, context) => {
      const parsed = read(value)
      if (parsed.refused === undefined) return parsed.value
      context.addIssue({ code: 'custom', message: `${parsed.refused}, got ${describe(value)}` })
      return z.NEVER
    })
}

/** A line for the shell; what it means, only the shell knows. */
function command() {
  return text('a shell command', (value) =>
    value.trim() === '' || value.includes('\0') ? { refused: 'must be a shell command' } : { value },
  )
}

function list<T extends z.ZodType>(what: string, element: T) {
  return z.array(element, { error: (issue) => `must be an array of ${what}, got ${describe(issue.input)}` })
}

function toggle() {
  return z.boolean({ error: (issue) => `must be true or false, got ${describe(issue.input)}` })
}

/** What was got is never told. */
function passwords() {
  const isList = (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string')
  return z
    .custom<readonly string[]>(isList, { error: 'must be an array of passwords, each a string' })
    .transform((texts) => texts.map((password) => new Secret(password)))
}

function integer(lowest: number, highest: number, unit: string) {
  const isWithin = (value: unknown) => Number.isInteger(value) && Number(value) >= lowest && Number(value) <= highest
  return z.custom<number>(isWithin, {
    error: (issue) => `must be an integer from ${lowest} to ${highest} (${unit}), got ${describe(issue.input)}`,
  })
}

/** Takes what the kernel's dev_valid_name() and dev_alloc_name() take, less what a terminal could not show. */
function parseName(name: string): Parsed<string> {
  const bytes = Buffer.byteLength(name)
  if (bytes < 1 || bytes > NAME_MAX_BYTES) return { refused: `must have 1 to ${NAME_MAX_BYTES} bytes, not ${bytes}` }
  if (!/^[^\s/:\p{C}]+$/u.test(name) || name === '.' || name === '..') {
    return { refused: "must be of printable characters without space, '/' and ':', and neither '.' nor '..'" }
  }
  if (name.replace('%d', '').includes('%')) return { refused: "must have '%' only once and as %d" }
  return { value: name }
}

/** A kernel module's name (`TCP_CA_NAME_MAX` of linux/tcp.h is 16 with its end); whether it is there, the kernel knows. */
function parseCongestion(name: string): Parsed<string> {
  return /^[\w-]{1,15}$/.test(name)
    ? { value: name }
    : { refused: 'must be the name of a congestion control such as bbr or cubic' }
}

/** Relative paths are as good as absolute ones; a word alone is more likely a mistake. */
function parseControl(path: string): Parsed<string> {
  const isPath = /^(\.{0,2}\/|[^/]+\/)/.test(path) && !path.endsWith('/') && !path.includes('\0')
  return isPath ? { value: path } : { refused: 'must be the path of a socket with a / in it' }
}

/** Metrics tell who talks to whom how much: that is nothing for a network. */
function parseLoopback(text: string): Parsed<LoopbackAddress> {
  const address = parseStreamAddress(text, 0)
  if (address.refused !== undefined) return address
  const { value } = address
  const isLoopback =
    (value.kind === 'tcp4' && value.host.startsWith('127.')) || (value.kind === 'tcp6' && value.host === '::1')
  return isLoopback
    ? { value: { host: value.host, port: value.port } }
    : { refused: 'must be a loopback address, 127.0.0.1:PORT or [::1]:PORT, because there is no authentication' }
}

/**
 * The door: what callers write becomes {@link ParsedOptions}, values that cannot be wrong, or one `ZP_OPTION` error that
 * lists everything that is wrong. Nothing behind this door checks an option again.
 */

import { z } from 'zod'
import type { InnerAddress, Parsed, StreamAddress } from './address.js'
import {
  formatInnerAddress,
  formatStreamAddress,
  parseInnerAddress,
  parseNetwork,
  parseStreamAddress,
} from './address.js'
import { chainOf, DEFAULT_TOR, readPasswordFile } from './chain.js'
import type { ParsedHooks } from './hook/tunnel-hooks.js'
import type { OptionProblem } from './errors.js'
import { ZPortalError } from './errors.js'
import type { Proxy } from './proxy.js'
import { parseProxy } from './proxy.js'
import { redact } from './redact.js'
import { Secret } from './secret.js'
import type { Route } from './route.js'
import { formatRoute, parseRoute } from './route.js'

export const DEFAULT_NAME = 'tun%d'
/** Leaves room for the outer headers on most links, and is what the original's examples use. */
export const DEFAULT_MTU_BYTES = 1400
/** Long enough for a chain of proxies, short enough for a person who waits at a terminal. */
export const DEFAULT_DIAL_TIMEOUT_MS = 15_000
/** Tor builds circuits meanwhile, and to an onion service several one after the other. */
export const DEFAULT_TOR_DIAL_TIMEOUT_MS = 60_000
export const MTU_MIN_BYTES = 68
export const MTU_MAX_BYTES = 65_535
/** RFC 8200: every IPv6 link carries packets of this size. The kernel takes IPv6 off a device with a smaller MTU. */
export const MTU_MIN_IPV6_BYTES = 1280
/** Longer chains are mistakes: each hop adds a round trip to the dial and its queue to every packet. */
export const PROXIES_MAX = 16
/** Each newcomer is compared with all of them; longer lists belong into a firewall. */
export const ALLOW_MAX = 256
const DIAL_TIMEOUT_MAX_MS = 3_600_000
const SO_MARK_MAX = 0xffff_ffff
/** Long enough for a name server to be told, short enough for a person who waits for the end. */
export const DEFAULT_HOOK_TIMEOUT_MS = 10_000
const HOOK_TIMEOUT_MAX_MS = 3_600_000
/** IFNAMSIZ of linux/if.h less the byte that ends the name. */
const NAME_MAX_BYTES = 15
/** As much of a refused string as a message shows. */
const SHOWN_MAX_CHARS = 120

/**
 * Shell commands, each run by `/bin/sh -c` on an event, one at a time, with what the tunnel knows in the environment
 * (docs/HOOKS.md). Each line of output is a notice of code `hook-up`, `hook-down` or `hook-reconnect`; so is a failure,
 * with level `warn`.
 */
export interface Hooks {
  /** When the tunnel is up for the first time. */
  readonly up?: string | undefined
  /** When it is up again with a peer. */
  readonly reconnect?: string | undefined
  /** When the tunnel is closed, its device gone, if it was ever up. `closed` waits for it. */
  readonly down?: string | undefined
  /**
   * Time for each, in milliseconds, 1 to 3600000; then it is ended with its process group.
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined
  /**
   * Close the tunnel with the reason `ZP_HOOK` when `up` fails.
   * @defaultValue false
   */
  readonly required?: boolean | undefined
}

/** What both ends of a tunnel have. */
export interface CommonOptions {
  /**
   * Name of the network device, 1 to 15 bytes. `%d` lets the kernel choose a number; {@link Tunnel.name} tells which.
   * @defaultValue `'tun%d'`
   */
  readonly name?: string | undefined
  /**
   * Largest packet in bytes, 68 to 65535; at least 1280 when an address is IPv6. Give both ends the same.
   * @defaultValue 1400
   */
  readonly mtu?: number | undefined
  /** Addresses of this end inside the tunnel, each with its prefix length: `'10.10.0.1/24'`, `'fd00::1/64'`. */
  readonly addresses?: readonly string[] | undefined
  /**
   * Networks to route into the tunnel: `'10.0.0.0/8'`, `'fd00::/8'`; `'0.0.0.0/0'` and `'::/0'` for everything. The way
   * of a client's own stream stays outside (docs/ROUTES.md). They are gone when the tunnel is.
   */
  readonly routes?: readonly string[] | undefined
  /**
   * Carry the kernel's super-packets of up to 64 KiB whole when the peer can, which is several times faster.
   * @defaultValue true
   */
  readonly offload?: boolean | undefined
  /**
   * Congestion control of the stream when it is TCP, by the kernel's name for it: `'bbr'`, `'cubic'`.
   * @defaultValue BBR where the kernel has it, which keeps ping low under load; else the kernel's default
   */
  readonly congestion?: string | undefined
  /**
   * SO_MARK for the packets of the tunnel's own stream when it is TCP, 1 to 4294967295: for `ip rule` and firewalls, so
   * that routes into the tunnel do not swallow the stream that carries it. Takes CAP_NET_ADMIN.
   */
  readonly soMark?: number | undefined
  /**
   * Serve a control socket (docs/CONTROL.md), so that `zportal status` and others find the tunnel: true for the usual
   * place in /run/zportal, or the path of the socket.
   * @defaultValue false
   */
  readonly control?: boolean | string | undefined
  /** Serve metrics for Prometheus over HTTP at this loopback address, such as `'127.0.0.1:9100'`. */
  readonly metrics?: string | undefined
  /**
   * Let the peer measure this tunnel with `zportal bench`. While it does, and only then, this end listens inside the
   * tunnel, for the peer alone.
   * @defaultValue false
   */
  readonly bench?: boolean | undefined
  /** Programs to run on the tunnel's events. */
  readonly hooks?: Hooks | undefined
  /** Closes the tunnel when it aborts, with the reason `ZP_ABORTED`. */
  readonly signal?: AbortSignal | undefined
}

/** The end that listens. When its peer leaves it waits for the next one; the device stays. */
export interface ServerOptions extends CommonOptions {
  /**
   * Where to listen: `'192.0.2.1:7000'`, `'[2001:db8::1]:7000'`, `'host.example:7000'`, `'unix:/path'` or
   * `'unixa:name'`. Port 0 takes any free port; {@link Tunnel.local} tells which.
   */
  readonly bind: string
  /**
   * Networks that a peer may come from, when `bind` is TCP: `'192.0.2.0/24'`, `'2001:db8::1'`. Others are closed at once.
   * @defaultValue everybody
   */
  readonly allow?: readonly string[] | undefined
  readonly connect?: undefined
  readonly proxies?: undefined
  readonly proxyPasswords?: undefined
  readonly proxyPasswordFile?: undefined
  readonly tor?: undefined
  readonly torNewCircuit?: undefined
  readonly dialTimeoutMs?: undefined
  readonly once?: undefined
}

/** The end that dials, until it is up and whenever it has lost its peer; the device stays. */
export interface ClientOptions extends CommonOptions {
  /** The peer's address, in the forms of {@link ServerOptions.bind}; behind proxies it is one that the last can reach. */
  readonly connect: string
  /**
   * Proxies to go through, the nearest first: `'socks5://user:password@host:1080'`, `'http://user:password@host:3128'`
   * (CONNECT), `'socks5+unix:/path'`, `'http+unix://user:password@/path'`, or an address alone, which means SOCKS5. Each
   * names the next; the last names the peer. Only the first can be a Unix socket, because no proxy can name one. User and
   * password are percent-encoded, and never shown in a message.
   */
  readonly proxies?: readonly string[] | undefined
  /** Passwords for those proxies whose URL names a user and no password, in their order. */
  readonly proxyPasswords?: readonly string[] | undefined
  /** The same from a file, one password a line. */
  readonly proxyPasswordFile?: string | undefined
  /**
   * Go through Tor behind all other proxies: `true` for its usual address, or where it listens for SOCKS. Names, also
   * those that end in `.onion`, are Tor's to look up. The tunnel has a circuit of its own.
   * @defaultValue false; `true` means `'127.0.0.1:9050'`
   */
  readonly tor?: boolean | string | undefined
  /**
   * Ask Tor for a new circuit at each dial, not once for the tunnel.
   * @defaultValue false
   */
  readonly torNewCircuit?: boolean | undefined
  /**
   * Time for the whole way to the peer, in milliseconds, through all proxies; 1 to 3600000.
   * @defaultValue 15000, with Tor 60000
   */
  readonly dialTimeoutMs?: number | undefined
  readonly allow?: undefined
  /**
   * Dial once: the tunnel closes with the reason when that fails, or when the peer leaves.
   * @defaultValue false
   */
  readonly once?: boolean | undefined
  readonly bind?: undefined
}

/** What {@link openTunnel} takes: exactly one of `bind` and `connect`. */
export type TunnelOptions = ServerOptions | ClientOptions

/** A TCP address that only this machine can reach. */
export interface LoopbackAddress {
  readonly host: string
  readonly port: number
}

interface ParsedCommon {
  readonly name: string
  readonly mtuBytes: number
  readonly addresses: readonly InnerAddress[]
  readonly routes: readonly Route[]
  readonly offload: boolean
  readonly congestion: string | undefined
  readonly once: boolean
  readonly soMark: number | undefined
  /** True for a control socket in the usual place, or its path. */
  readonly control: boolean | string
  readonly metrics: LoopbackAddress | undefined
  readonly bench: boolean
  readonly hooks: ParsedHooks
  readonly signal: AbortSignal | undefined
}

/** Options after the door. */
export type ParsedOptions = ParsedCommon &
  (
    | { readonly role: 'server'; readonly bind: StreamAddress; readonly allow: readonly InnerAddress[] }
    | {
        readonly role: 'client'
        readonly connect: StreamAddress
        /** With Tor as the last of them, if it is wanted. */
        readonly proxies: readonly Proxy[]
        readonly dialTimeoutMs: number
      }
  )

/**
 * Reads options that may have come from anywhere.
 *
 * @throws {@link ZPortalError} `ZP_OPTION`, with every problem in `problems`.
 */
export function parseOptions(input: unknown): ParsedOptions {
  const given = z.record(z.string(), z.unknown()).safeParse(input)
  if (!given.success) throw optionError([{ option: '', message: `options must be an object, got ${describe(input)}` }])

  const { sound, problems } = readEach(given.data)
  const refuse: Refuse = (option, message) => problems.push({ option, message })
  acrossOptions(given.data, sound, refuse)
  const proxies = chainOf(sound, refuse)
  if (problems.length > 0) throw optionError(problems)

  const common = {
    name: sound.name ?? DEFAULT_NAME,
    mtuBytes: sound.mtu ?? DEFAULT_MTU_BYTES,
    addresses: sound.addresses ?? [],
    routes: sound.routes ?? [],
    offload: sound.offload ?? true,
    congestion: sound.congestion,
    once: sound.once ?? false,
    soMark: sound.soMark,
    control: sound.control ?? false,
    metrics: sound.metrics,
    bench: sound.bench ?? false,
    hooks: {
      up: sound.hooks?.up,
      down: sound.hooks?.down,
      reconnect: sound.hooks?.reconnect,
      timeoutMs: sound.hooks?.timeoutMs ?? DEFAULT_HOOK_TIMEOUT_MS,
      required: sound.hooks?.required ?? false,
    },
    signal: sound.signal,
  }
  if (sound.bind !== undefined) return { ...common, role: 'server', bind: sound.bind, allow: sound.allow ?? [] }
  if (sound.connect === undefined) throw new ZPortalError('ZP_INTERNAL', 'options with neither end passed the door')
  return {
    ...common,
    role: 'client',
    connect: sound.connect,
    proxies,
    dialTimeoutMs:
      sound.dialTimeoutMs ?? (sound.tor === undefined ? DEFAULT_DIAL_TIMEOUT_MS : DEFAULT_TOR_DIAL_TIMEOUT_MS),
  }
}

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
const FIELDS = {
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

/** What only the end that dials can use. */
const DIALLING = [
  'proxies',
  'proxyPasswords',
  'proxyPasswordFile',
  'tor',
  'torNewCircuit',
  'dialTimeoutMs',
  'once',
] as const

type Refuse = (option: string, message: string) => void
type Given = Readonly<Record<string, unknown>>
type Sound = { -readonly [Key in keyof typeof FIELDS]?: z.output<(typeof FIELDS)[Key]> }

/** Reads each option alone. What was refused is missing from `sound`, so that the rules across options can go on. */
function readEach(given: Given): { sound: Sound; problems: OptionProblem[] } {
  const sound: Record<string, unknown> = {}
  const problems: OptionProblem[] = []
  for (const [option, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(FIELDS, option)) {
      problems.push({ option: '', message: `there is no option ${JSON.stringify(option)}` })
      continue
    }
    const result = FIELDS[option as keyof typeof FIELDS].safeParse(value)
    if (result.success) sound[option] = result.data
    else problems.push(...result.error.issues.map(({ path, message }) => ({ option: at(option, path), message })))
  }
  return { sound: sound, problems }
}

/** The rules that concern more than one option. */
function acrossOptions(given: Given, sound: Sound, refuse: Refuse): void {
  const { bind, connect } = given

  if (bind !== undefined && connect !== undefined) {
    const got = `\`bind\` ${describe(bind)} and \`connect\` ${describe(connect)}`
    refuse('', `exactly one of \`bind\` (to listen) and \`connect\` (to dial) is accepted, got ${got}`)
  } else if (bind === undefined && connect === undefined) {
    refuse('', 'exactly one of `bind` (to listen) and `connect` (to dial) is needed, got neither')
  } else if (bind !== undefined) {
    for (const option of DIALLING) {
      const value = given[option]
      // `false` and no proxies say what is so anyway.
      if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) continue
      refuse(option, `must go with \`connect\`, never with \`bind\`, got ${describe(value)}`)
    }
  }

  const hasAllow = given['allow'] !== undefined && !(Array.isArray(given['allow']) && given['allow'].length === 0)
  if (hasAllow && bind === undefined) {
    refuse('allow', `must go with \`bind\`, never with \`connect\`, got ${describe(given['allow'])}`)
  } else if (hasAllow && (sound.bind?.kind === 'unix' || sound.bind?.kind === 'unixa')) {
    const why = 'nobody comes to a Unix socket from a network'
    refuse('allow', `must go with a TCP address to listen on: ${why}, got ${describe(formatStreamAddress(sound.bind))}`)
  }

  const ipv6 = [...(sound.addresses ?? []), ...(sound.routes ?? [])].find(({ family }) => family === 6)
  if (ipv6 !== undefined && sound.mtu !== undefined && sound.mtu < MTU_MIN_IPV6_BYTES) {
    const why = `because ${formatInnerAddress(ipv6)} is IPv6`
    refuse('mtu', `must be at least ${MTU_MIN_IPV6_BYTES} ${why}, got ${describe(sound.mtu)}`)
  }
  sound.routes?.forEach((route, index, all) => {
    const text = formatRoute(route)
    if (all.findIndex((other) => formatRoute(other) === text) < index) {
      refuse(`routes[${index}]`, `must not repeat ${text}, got ${describe(text)}`)
    }
  })
  sound.addresses?.forEach((inner, index, all) => {
    const first = all.find(({ address }) => address === inner.address)
    if (first === undefined || first === inner) return
    const got = describe(formatInnerAddress(inner))
    refuse(`addresses[${index}]`, `must not repeat ${formatInnerAddress(first)}, got ${got}`)
  })
}

function optionError(problems: readonly OptionProblem[]): ZPortalError {
  const sentences = problems.map(({ option, message }) => (option === '' ? message : `${option} ${message}`))
  return new ZPortalError('ZP_OPTION', sentences.join('; '), { problems })
}

function at(option: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, key) => (typeof key === 'number' ? `${name}[${key}]` : `${name}.${String(key)}`),
    option,
  )
}

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

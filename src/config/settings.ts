/**
 * Every setting of a tunnel, told once: a row is at the same time a flag of `zportal up`, a key of a config file and the
 * way to an option of the API. Whether a value is right, `options.ts` judges; a row says only what shape it has.
 */

import { DEFAULT_TOR } from '../chain.js'
import {
  DEFAULT_DIAL_TIMEOUT_MS,
  DEFAULT_HOOK_TIMEOUT_MS,
  DEFAULT_MTU_BYTES,
  DEFAULT_NAME,
  DEFAULT_TOR_DIAL_TIMEOUT_MS,
} from '../tunnel-options.js'

/** What a value looks like, on the command line and in a file. */
export type Kind =
  /** One string. */
  | 'text'
  /** Strings: the flag is repeated, the file has an array, or one string alone. */
  | 'texts'
  | 'integer'
  /** Seconds, with or without a fraction; the option has milliseconds. */
  | 'seconds'
  /** `--x` and `--no-x`; true or false. */
  | 'toggle'
  /** `--x`, or `--x=VALUE`; true, false or a string. */
  | 'toggle-or-text'
  /** An integer that people mostly write in hexadecimal. */
  | 'bits'
  /** `on` or `off` (in a file also true or false), or text of its own. */
  | 'optional'

export interface Setting {
  /** The option of the API that it becomes; `hooks.up` is the field of one. */
  readonly option: string
  readonly kind: Kind
  /** One sentence for the help and for the JSON Schema of config files. */
  readonly summary: string
  /** The short form of the flag. */
  readonly char?: SettingChar
  /** What stands for the value in the help; a toggle has none. */
  readonly value?: string
  /** The value that counts when it is left out. */
  readonly fallback?: string | number | boolean
  /** Whether `${…}` in it means what it means to a shell, and no secret. */
  readonly isVerbatim?: boolean
  /** What happens when it is left out, where that is no one value. */
  readonly otherwise?: string
  /** How a reload changes it while the tunnel runs; without it, that takes a restart. */
  readonly live?: Live
}

/**
 * What keeps a setting that can change: the shell, at once; or the core, at once in the kernel's routes, from the next
 * dial of a client, the next newcomer of a server, the next session of either.
 */
export type Live = 'shell' | 'routes' | 'dial' | 'door' | 'session'

/** The letters of short flags that are taken by settings. */
export type SettingChar = 'n' | 'm' | 'a' | 'b' | 'c' | 'p'

/** In the order in which help and files show them. */
export const SETTINGS: Readonly<Record<string, Setting>> = {
  name: {
    option: 'name',
    kind: 'text',
    char: 'n',
    value: 'NAME',
    summary: 'Network device; %d lets the kernel number it.',
    fallback: DEFAULT_NAME,
  },
  mtu: {
    option: 'mtu',
    kind: 'integer',
    char: 'm',
    value: 'BYTES',
    summary: 'Largest packet, 68 to 65535, the same at both ends.',
    fallback: DEFAULT_MTU_BYTES,
  },
  address: {
    option: 'addresses',
    kind: 'texts',
    char: 'a',
    value: 'CIDR',
    summary: 'Address inside the tunnel, such as 10.10.0.1/24 or fd00::1/64; repeatable.',
  },
  route: {
    live: 'routes',
    option: 'routes',
    kind: 'texts',
    value: 'CIDR',
    summary: 'Network to route into the tunnel, such as 10.0.0.0/8; 0.0.0.0/0 is everything; repeatable.',
  },
  bind: { option: 'bind', kind: 'text', char: 'b', value: 'ADDR', summary: 'Listen there; one peer at a time.' },
  allow: {
    live: 'door',
    option: 'allow',
    kind: 'texts',
    value: 'CIDR',
    summary: 'Network that a peer may come from over TCP, such as 192.0.2.0/24; repeatable.',
    otherwise: 'everybody',
  },
  connect: { live: 'dial', option: 'connect', kind: 'text', char: 'c', value: 'ADDR', summary: 'Dial the peer there.' },
  proxy: {
    live: 'dial',
    option: 'proxies',
    kind: 'texts',
    char: 'p',
    value: 'PROXY',
    summary: 'Proxy on the way, SOCKS5 or HTTP; repeat it for a chain, the nearest first.',
  },
  'proxy-password-file': {
    live: 'dial',
    option: 'proxyPasswordFile',
    kind: 'text',
    value: 'FILE',
    summary: 'Passwords of the proxies whose URLs name a user only, one a line.',
  },
  tor: {
    live: 'dial',
    option: 'tor',
    kind: 'toggle-or-text',
    value: 'ADDR',
    summary: `Go through Tor behind all other proxies; without a value at ${DEFAULT_TOR}.`,
  },
  'tor-new-circuit': {
    live: 'dial',
    option: 'torNewCircuit',
    kind: 'toggle',
    summary: 'Ask Tor for a new circuit at each dial, not once for the tunnel.',
    fallback: false,
  },
  'dial-timeout': {
    live: 'dial',
    option: 'dialTimeoutMs',
    kind: 'seconds',
    value: 'SECONDS',
    summary: 'Time for the whole way to the peer.',
    otherwise: `${DEFAULT_DIAL_TIMEOUT_MS / 1000}, with Tor ${DEFAULT_TOR_DIAL_TIMEOUT_MS / 1000}`,
  },
  once: {
    live: 'shell',
    option: 'once',
    kind: 'toggle',
    summary: 'Dial once: end when that fails, or when the peer leaves.',
    fallback: false,
  },
  offload: {
    option: 'offload',
    kind: 'toggle',
    summary: 'Carry super-packets of up to 64 KiB when the peer can, which is much faster.',
    fallback: true,
  },
  congestion: {
    live: 'session',
    option: 'congestion',
    kind: 'text',
    value: 'NAME',
    summary: 'Congestion control of the TCP stream: bbr, cubic.',
    otherwise: 'bbr where the kernel has it',
  },
  'so-mark': {
    live: 'dial',
    option: 'soMark',
    kind: 'bits',
    value: 'MARK',
    summary: "Firewall mark for the packets of the tunnel's own stream, such as 0x1f.",
  },
  control: {
    option: 'control',
    kind: 'optional',
    value: 'PATH',
    summary: 'Control socket for status, down and the others: on, off, or its path.',
    fallback: 'on',
  },
  'log-level': {
    live: 'shell',
    option: 'logLevel',
    kind: 'text',
    value: 'LEVEL',
    summary: 'The least that is told: info, warn or error.',
    fallback: 'info',
  },
  metrics: {
    option: 'metrics',
    kind: 'text',
    value: 'ADDR',
    summary: 'Serve metrics for Prometheus on this loopback port, such as 127.0.0.1:9100.',
  },
  bench: {
    live: 'shell',
    option: 'bench',
    kind: 'toggle',
    summary: 'Let the peer measure the tunnel with "zportal bench".',
    fallback: true,
  },
  'hook-up': {
    live: 'shell',
    isVerbatim: true,
    option: 'hooks.up',
    kind: 'text',
    value: 'COMMAND',
    summary: 'Shell command to run when the tunnel is up for the first time (docs/HOOKS.md).',
  },
  'hook-reconnect': {
    live: 'shell',
    isVerbatim: true,
    option: 'hooks.reconnect',
    kind: 'text',
    value: 'COMMAND',
    summary: 'Shell command to run when it is up again.',
  },
  'hook-down': {
    live: 'shell',
    isVerbatim: true,
    option: 'hooks.down',
    kind: 'text',
    value: 'COMMAND',
    summary: 'Shell command to run when it is gone, if it was up.',
  },
  'hook-timeout': {
    live: 'shell',
    option: 'hooks.timeoutMs',
    kind: 'seconds',
    value: 'SECONDS',
    summary: 'Time for each of them; then it is ended with what it started.',
    fallback: DEFAULT_HOOK_TIMEOUT_MS / 1000,
  },
  'hook-required': {
    live: 'shell',
    option: 'hooks.required',
    kind: 'toggle',
    summary: 'End the tunnel when the up hook fails.',
    fallback: false,
  },
}

/** Values by setting, as they were written: from flags, from a file, or from both. */
export type Settings = Readonly<Record<string, unknown>>

/**
 * The options that settings ask for. Nothing is judged: what cannot be read as a number stays what it was, so that the
 * one door in `options.ts` refuses it and quotes what was written.
 */
export function optionsFrom(settings: Settings): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const [key, { option, kind }] of Object.entries(SETTINGS)) {
    if (settings[key] === undefined) continue
    const [outer = option, inner] = option.split('.')
    const value = valueOf(kind, settings[key])
    options[outer] = inner === undefined ? value : { ...(options[outer] as object | undefined), [inner]: value }
  }
  return options
}

/** Which setting an option came from. */
export function settingOf(option: string): string | undefined {
  return Object.keys(SETTINGS).find((key) => SETTINGS[key]?.option === option)
}

function valueOf(kind: Kind, written: unknown): unknown {
  switch (kind) {
    case 'text':
    case 'toggle':
      return written
    case 'optional':
      return written === 'on' ? true : written === 'off' ? false : written
    case 'texts':
      return typeof written === 'string' ? [written] : written
    case 'integer':
      return numberOr(written)
    case 'toggle-or-text':
      return written === 'true' ? true : written === 'false' ? false : written
    case 'bits':
      return typeof written === 'string' && /^0x[0-9a-f]{1,8}$/i.test(written) ? Number(written) : numberOr(written)
    case 'seconds': {
      const seconds = numberOr(written)
      return typeof seconds === 'number' ? Math.round(seconds * 1000) : seconds
    }
  }
}

/** The number that a flag's text spells in decimal, or what was written. */
function numberOr(written: unknown): unknown {
  return typeof written === 'string' && /^\d+(\.\d+)?$/.test(written) ? Number(written) : written
}

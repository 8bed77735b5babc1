/**
 * The door: what callers write becomes {@link ParsedOptions}, values that cannot be wrong, or one `ZP_OPTION` error that
 * lists everything that is wrong. Nothing behind this door checks an option again.
 */

import { z } from 'zod'
import type { InnerAddress, LoopbackAddress, StreamAddress } from './address.js'
import { formatInnerAddress, formatStreamAddress } from './address.js'
import { chainOf } from './chain.js'
import type { ParsedHooks } from './hook/tunnel-hooks.js'
import type { OptionProblem } from './errors.js'
import { ZPortalError } from './errors.js'
import type { Sound } from './option-fields.js'
import { describe, FIELDS, MTU_MIN_IPV6_BYTES } from './option-fields.js'
import type { Proxy } from './proxy.js'
import type { Route } from './route.js'
import { formatRoute } from './route.js'
import {
  DEFAULT_DIAL_TIMEOUT_MS,
  DEFAULT_HOOK_TIMEOUT_MS,
  DEFAULT_MTU_BYTES,
  DEFAULT_NAME,
  DEFAULT_TOR_DIAL_TIMEOUT_MS,
} from './tunnel-options.js'

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

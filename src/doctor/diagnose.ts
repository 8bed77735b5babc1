/**
 * Looks at everything that a tunnel with these options would need, before it is opened. Every device, socket and ring
 * that is made for it is gone when it resolves.
 */

import { lookup } from 'node:dns/promises'
import type { StreamAddress } from '../address.js'
import { formatInnerAddress, formatStreamAddress } from '../address.js'
import { ZPortalError } from '../errors.js'
import type { NativeAddon } from '../native.js'
import { guard, loadNative, toNativeProxy } from '../native.js'
import type { NativeProbe } from '../native-probe.js'
import type { CommonOptions, TunnelOptions } from '../tunnel-options.js'
import type { ParsedOptions } from '../options.js'
import { parseOptions } from '../options.js'
import type { MachineFacts } from './facts.js'
import { hasCongestionModule, interfaceAddresses, machineFacts, systemRoutes, unixPathState } from './facts.js'
import type { Finding } from './finding.js'
import { fail, FINDING_IDS, pass } from './finding.js'
import * as machine from './machine.js'
import * as network from './network.js'
import { judgeRoutes } from './routes.js'

/** Version of the shape of {@link Diagnosis}; a field that is added does not change it. */
const DIAGNOSIS_VERSION = 1
/** Keeps no more on the way than the path needs; what the core asks the kernel for by itself. */
const DEFAULT_CONGESTION = 'bbr'
/** Stands for the end that was not given: the machine alone is looked at. */
const NO_END = 'unixa:zportal-doctor'

/** What a tunnel would meet. */
export interface Diagnosis {
  readonly version: typeof DIAGNOSIS_VERSION
  /** Whether nothing failed. */
  readonly ok: boolean
  readonly findings: readonly Finding[]
}

/**
 * Finds out whether a tunnel with these options would work here. Without `bind` and `connect` it looks at the machine
 * alone; with `connect` it dials every hop, and the peer takes it for a stranger who says nothing.
 *
 * @throws {@link ZPortalError} `ZP_OPTION` when options are refused.
 */
export async function diagnose(options: TunnelOptions | CommonOptions = {}): Promise<Diagnosis> {
  return diagnoseWith(loadNative, options)
}

/** @internal The same with the addon given, so that tests can put another in its place. */
export async function diagnoseWith(addon: () => NativeAddon, options: unknown): Promise<Diagnosis> {
  const given = options as Readonly<Record<string, unknown>>
  const hasEnd = given['bind'] !== undefined || given['connect'] !== undefined
  const parsed = parseOptions(hasEnd ? given : { ...given, bind: NO_END })
  const facts = machineFacts()
  const findings = [machine.judgeKernel(facts), ...(await withAddon(addon, parsed, facts, hasEnd))]
  const place = ({ id }: Finding) => FINDING_IDS.findIndex((known) => id === known || known === id.replace(/\d+$/, 'N'))
  findings.sort((a, b) => place(a) - place(b))
  return { version: DIAGNOSIS_VERSION, ok: findings.every(({ status }) => status !== 'fail'), findings }
}

async function withAddon(
  addon: () => NativeAddon,
  options: ParsedOptions,
  facts: MachineFacts,
  hasEnd: boolean,
): Promise<Finding[]> {
  let probe: NativeProbe
  try {
    probe = addon().NativeProbe
  } catch (error) {
    if (!(error instanceof ZPortalError)) throw error
    const cure = 'install zportal again without --omit=optional; in a clone, npm run build'
    return [fail('native.addon', error.message, cure, { code: error.code })]
  }
  return [
    pass('native.addon', 'the native part is loaded'),
    machine.judgeRing(facts, await guard(() => probe.ring())),
    ...(await device(probe, options, facts)),
    ...(hasEnd && isUnix(outerAddress(options)) ? [] : [await congestion(probe, options, facts)]),
    network.judgeMtu(options.mtuBytes),
    ...network.judgeAddresses(options.addresses, interfaceAddresses(), { name: options.name, ipv6: facts.ipv6 }),
    ...judgeRoutes(options.routes, systemRoutes(), {
      name: options.name,
      isServer: hasEnd && options.role === 'server',
      ipv6: facts.ipv6,
    }),
    ...(hasEnd ? await end(probe, options) : []),
  ]
}

async function device(probe: NativeProbe, { name, offload }: ParsedOptions, facts: MachineFacts): Promise<Finding[]> {
  const asked = await guard(() => probe.device(name))
  const isTaken = asked.failure?.code === 'ZP_TUN_NAME_TAKEN'
  const any = isTaken ? await guard(() => probe.device('tun%d')) : asked
  return [
    machine.judgeCapability(facts),
    machine.judgeTunFile(facts),
    ...machine.judgeDevice(any, facts, offload),
    ...machine.judgeName(name, asked),
  ]
}

/** Asked of the kernel only where that loads no module. */
async function congestion(probe: NativeProbe, options: ParsedOptions, facts: MachineFacts): Promise<Finding> {
  const name = options.congestion ?? DEFAULT_CONGESTION
  const loaded = facts.congestion.includes(name)
  return machine.judgeCongestion({
    name,
    loaded,
    loadable: !loaded && hasCongestionModule(facts.release, name),
    errno: loaded ? (await guard(() => probe.congestion(name))).errno : undefined,
  })
}

async function end(probe: NativeProbe, options: ParsedOptions): Promise<Finding[]> {
  if (options.role === 'server') return listen(probe, options.bind)
  const { connect, proxies, dialTimeoutMs, soMark, mtuBytes, addresses } = options
  const first = firstHop(options)
  const overlap = network.judgeOverlap(
    formatStreamAddress(first),
    await addressesOf(first),
    addresses,
    interfaceAddresses(),
  )
  const { hops = [], failure } = await guard(() =>
    probe.way({
      connect: formatStreamAddress(connect),
      proxies: proxies.map(toNativeProxy),
      timeoutMs: dialTimeoutMs,
      ...(soMark === undefined ? {} : { soMark }),
      mtuBytes,
      addresses: addresses.map(formatInnerAddress),
    }),
  )
  if (failure !== undefined) throw new ZPortalError('ZP_INTERNAL', failure.message)
  return [...overlap, ...network.judgeWay(hops, proxies.length, mtuBytes)]
}

async function listen(probe: NativeProbe, bind: StreamAddress): Promise<Finding[]> {
  const address = formatStreamAddress(bind)
  // A file that is there is looked at and left alone; listening there would take it over.
  const state = bind.kind === 'unix' ? await unixPathState(bind.path) : 'free'
  if (state !== 'free') return [network.judgeUnixPath(address, state)]
  return [network.judgeListen(address, await guard(() => probe.listen(address)))]
}

/** The addresses of a hop; none where it has no name or address, or the name is unknown, which the dial tells. */
async function addressesOf(hop: StreamAddress): Promise<string[]> {
  if (isUnix(hop)) return []
  try {
    return (await lookup(hop.host.replace(/%.*$/, ''), { all: true })).map(({ address }) => address)
  } catch {
    return []
  }
}

/** Where the stream starts or arrives on this machine. */
function outerAddress(options: ParsedOptions): StreamAddress {
  return options.role === 'server' ? options.bind : firstHop(options)
}

function firstHop({ connect, proxies }: Extract<ParsedOptions, { role: 'client' }>): StreamAddress {
  return proxies[0]?.address ?? connect
}

function isUnix(address: StreamAddress): address is Extract<StreamAddress, { kind: 'unix' | 'unixa' }> {
  return address.kind === 'unix' || address.kind === 'unixa'
}

/** Judges addresses, sizes and the way to the peer. Pure: facts and answers in, findings out. */

import { BlockList } from 'node:net'
import type { InnerAddress } from '../address.js'
import { formatInnerAddress } from '../address.js'
import type { ErrorCode } from '../errors.js'
import { ERROR_CODES } from '../errors.js'
import type { NativeFailure } from '../native.js'
import type { HopProbe, PlainProbe } from '../native-probe.js'
import { MTU_MIN_IPV6_BYTES } from '../option-fields.js'
import type { UnixPathState } from './facts.js'
import type { Finding, FindingId } from './finding.js'
import { fail, pass, warn } from './finding.js'

/** An address that an interface of this machine has. */
export interface OuterAddress {
  readonly device: string
  readonly family: string
  readonly address: string
  /** With its prefix length; null where the system gave a mask that is none. */
  readonly cidr: string | null
}

export function judgeMtu(mtuBytes: number): Finding {
  if (mtuBytes >= MTU_MIN_IPV6_BYTES) {
    return pass('inner.mtu', `an MTU of ${mtuBytes} bytes; the other end must have the same`)
  }
  const cure = `-m ${MTU_MIN_IPV6_BYTES} or more, at both ends`
  return warn('inner.mtu', `an MTU of ${mtuBytes} bytes is too small for IPv6, and costs speed`, cure)
}

/** Whether the tunnel's addresses can be had beside those that the machine has. */
export function judgeAddresses(
  inner: readonly InnerAddress[],
  outer: readonly OuterAddress[],
  { name, ipv6 }: { readonly name: string; readonly ipv6: boolean },
): Finding[] {
  if (inner.length === 0) return []
  const id = 'inner.addresses'
  const findings: Finding[] = []
  for (const wanted of inner) {
    const text = formatInnerAddress(wanted)
    if (wanted.family === 6 && !ipv6) {
      const cure = 'sysctl -w net.ipv6.conf.default.disable_ipv6=0, or leave the address out'
      findings.push(fail(id, `${text} cannot be set: IPv6 is disabled here`, cure, { code: 'ZP_TUN_CONFIGURE' }))
    }
    for (const { device, address } of outer) {
      if (device === name || address !== wanted.address) continue
      const cure = 'choose another address with -a, of a network that is used nowhere else'
      findings.push(fail(id, `${wanted.address} is an address of ${device} already`, cure))
    }
    const clash = outer.find(
      ({ device, address, cidr }) =>
        device !== name && address !== wanted.address && cidr !== null && sameNetwork(cidr, text),
    )
    if (clash !== undefined) {
      const cure = 'choose a network that is used nowhere else, or its hosts cannot all be reached'
      findings.push(warn(id, `${text} is of the network that ${clash.device} is in (${String(clash.cidr)})`, cure))
    }
  }
  return findings.length > 0 ? findings : [pass(id, `${inner.map(formatInnerAddress).join(', ')}: used by nobody here`)]
}

/** Whether the tunnel would swallow its own stream: the first hop lies in a network that will be inside. */
export function judgeOverlap(
  hop: string,
  resolved: readonly string[],
  inner: readonly InnerAddress[],
  outer: readonly OuterAddress[],
): Finding[] {
  for (const address of resolved) {
    for (const network of inner) {
      if (!contains(network.address, network.prefixBits, address)) continue
      // A route that is more specific than the tunnel's keeps it outside.
      const isKept = outer.some(({ cidr, address: own }) => {
        const prefixBits = Number(cidr?.split('/')[1])
        return prefixBits > network.prefixBits && contains(own, prefixBits, address)
      })
      if (isKept) continue
      const text = formatInnerAddress(network)
      const cure = 'choose another network with -a, or another way to the peer'
      const message = `${hop} (${address}) lies within ${text}: once the tunnel is up, its own stream would go into it`
      return [fail('way.overlap', message, cure)]
    }
  }
  return []
}

export function judgeListen(address: string, { failure }: PlainProbe): Finding {
  if (failure === undefined) return pass('listen.address', `it can listen on ${address}`)
  return failed('listen.address', failure, 'ss -lnp names who listens; choose another address with -b')
}

/** The same for a Unix socket's file that is there already. */
export function judgeUnixPath(address: string, state: Exclude<UnixPathState, 'free'>): Finding {
  const id = 'listen.address'
  switch (state) {
    case 'stale':
      return pass(id, `${address} is the socket of a process that has ended; it is taken over`)
    case 'in use':
      return fail(
        id,
        `somebody listens on ${address}`,
        'stop the other program (ss -lxp names it), or choose another path',
        {
          code: 'ZP_BIND_IN_USE',
        },
      )
    case 'no socket':
      return fail(id, `${address} is a file that is no socket`, 'move it away, or choose another path', {
        code: 'ZP_BIND',
      })
  }
}

/** With these the proxy itself is not as it should be; it shows only when it is asked for the next hop. */
const PROXY_AT_FAULT: ReadonlySet<string> = new Set(['ZP_PROXY_AUTH', 'ZP_PROXY_PROTOCOL', 'ZP_PROXY_CLOSED'])

/** Every hop that was tried; `proxies` is how many of them are proxies. */
export function judgeWay(hops: readonly HopProbe[], proxies: number, mtuBytes: number): Finding[] {
  const byId = new Map<FindingId, Finding>()
  hops.forEach((hop, place) => {
    const ms = Math.round(hop.ms * 10) / 10
    for (const finding of judgeHop(hop, place, ms, { proxies, mtuBytes })) byId.set(finding.id, finding)
  })
  return [...byId.values()]
}

function judgeHop(
  hop: HopProbe,
  place: number,
  ms: number,
  { proxies, mtuBytes }: { readonly proxies: number; readonly mtuBytes: number },
): Finding[] {
  const id = (place: number): FindingId => (place < proxies ? `proxy.${place}` : 'peer')
  const { failure, answer, address } = hop
  if (failure !== undefined && answer === undefined) {
    const at = PROXY_AT_FAULT.has(failure.code) ? (failure.hop ?? place) : place
    return [failed(id(at), failure, cureOf(failure), ms)]
  }
  return place < proxies
    ? [pass(id(place), `${address} accepts connections, after ${ms} ms`, { ms })]
    : judgePeer(hop, ms, mtuBytes)
}

function judgePeer(hop: HopProbe, ms: number, mtuBytes: number): Finding[] {
  const { address, answer, failure } = hop
  const id = 'peer'
  switch (answer) {
    case 'hello':
      return [
        hop.busy === true
          ? warn(id, `${address} is a ZPortal, after ${ms} ms, that has a peer already`, 'end the other client first', {
              ms,
            })
          : pass(id, `${address} is a ZPortal (version ${String(hop.version)}), after ${ms} ms`, { ms }),
        ...judgeHello(hop, mtuBytes),
      ]
    case 'original':
      return [pass(id, `${address} speaks as the original zportald does, after ${ms} ms`, { ms })]
    case 'hung-up': {
      const cure = 'if it has a peer already, end that one; see the log at the other end'
      return [warn(id, `${address} accepts connections (${ms} ms) and ends them at once`, cure, { ms })]
    }
    case 'stranger': {
      const cure = 'correct the address: another service answers there'
      const message = `${address} is no ZPortal: ${failure?.message ?? 'it speaks another protocol'}`
      return [fail(id, message, cure, { ms, code: codeOf(failure) })]
    }
    case 'silent':
    case 'reached':
    case undefined:
  }
  const cure =
    'none is needed if it is an original zportald, or a ZPortal that has a peer already; else compare the address at both ends'
  return [warn(id, `${address} accepts connections (${ms} ms) and says nothing`, cure, { ms })]
}

function judgeHello({ otherMtuBytes, sharesAddress }: HopProbe, mtuBytes: number): Finding[] {
  const addressCure = 'give each end an address of its own with -a'
  return [
    otherMtuBytes === undefined
      ? pass('peer.mtu', `both ends have an MTU of ${mtuBytes} bytes`)
      : warn('peer.mtu', `the MTU is ${mtuBytes} bytes here and ${otherMtuBytes} there`, 'give both ends the same -m'),
    sharesAddress === true
      ? fail('peer.addresses', 'both ends were given the same address inside the tunnel', addressCure)
      : pass('peer.addresses', 'no address inside the tunnel is at both ends'),
  ]
}

function failed(id: FindingId, failure: NativeFailure, cure: string, ms?: number): Finding {
  return fail(id, failure.message, cure, { code: codeOf(failure), ...(ms === undefined ? {} : { ms }) })
}

function cureOf({ code }: NativeFailure): string {
  switch (code) {
    case 'ZP_RESOLVE':
      return 'getent hosts NAME shows what the resolver says; or write the address'
    case 'ZP_DIAL_REFUSED':
      return 'start what should listen there, and compare the address at both ends'
    case 'ZP_DIAL_TIMEOUT':
      return 'a host that is down or a firewall that drops: ip route get and ping show which'
    case 'ZP_PROXY_REFUSED':
      return "check the next hop from the proxy's host, and the proxy's rules"
    case 'ZP_PROXY_AUTH':
      return "give the proxy's user and password, or use one that needs none"
    default:
      return `docs/ERRORS.md, ${code}`
  }
}

function codeOf(failure: NativeFailure | undefined): ErrorCode {
  return ERROR_CODES.find((code) => code === failure?.code) ?? 'ZP_INTERNAL'
}

function sameNetwork(one: string, other: string): boolean {
  const [address = '', bits] = one.split('/')
  const [otherAddress = '', otherBits] = other.split('/')
  return bits === otherBits && contains(address, Number(bits), otherAddress)
}

function contains(network: string, prefixBits: number, address: string): boolean {
  const family = (text: string) => (text.includes(':') ? 'ipv6' : 'ipv4')
  if (family(network) !== family(address)) return false
  const list = new BlockList()
  list.addSubnet(network, prefixBits, family(network))
  return list.check(address, family(address))
}

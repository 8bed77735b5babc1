/** Judges the networks that are to be routed into the tunnel. Pure: the kernel's tables as text in, findings out. */

import { formatRoute } from '../route.js'
import type { Route } from '../route.js'
import type { Finding } from './finding.js'
import { fail, pass, warn } from './finding.js'

/** A route that is there. */
export interface SystemRoute {
  readonly device: string
  /** Its network, `10.0.0.0/8`. */
  readonly destination: string
  readonly metric: number
}

/** What a route into the tunnel gets: the kernel refuses a second of the same network and metric. */
const METRIC = { 4: 0, 6: 1024 } as const
/** RTF_UP and RTF_REJECT of linux/route.h. */
const UP = 0x1
const REJECT = 0x200
/** RTF_LOCAL of linux/ipv6_route.h: of the table of this machine's own addresses. */
const LOCAL = 0x8000_0000

/** /proc/net/route and /proc/net/ipv6_route. */
export function parseRoutes(ipv4: string, ipv6: string): SystemRoute[] {
  return [...lines(ipv4).slice(1).flatMap(parse4), ...lines(ipv6).flatMap(parse6)]
}

export function judgeRoutes(
  wanted: readonly Route[],
  system: readonly SystemRoute[],
  { name, isServer, ipv6 }: { readonly name: string; readonly isServer: boolean; readonly ipv6: boolean },
): Finding[] {
  if (wanted.length === 0) return []
  const id = 'inner.routes'
  const findings: Finding[] = []
  for (const route of wanted) {
    const text = formatRoute(route)
    if (route.family === 6 && !ipv6) {
      const cure = 'sysctl -w net.ipv6.conf.default.disable_ipv6=0, or leave the route out'
      findings.push(fail(id, `${text} cannot be routed: IPv6 is disabled here`, cure, { code: 'ZP_ROUTE' }))
      continue
    }
    const others = system.filter(({ device, destination }) => device !== name && halvesOf(text).includes(destination))
    const same = others.find(({ metric }) => metric === METRIC[route.family])
    const better = others.find(({ metric }) => metric < METRIC[route.family])
    if (same !== undefined) {
      const cure = `ip route show ${same.destination} tells whose it is; remove that one, or leave --route ${text} out`
      const message = `${same.destination} is routed to ${same.device} already`
      findings.push(fail(id, message, cure, { code: 'ZP_ROUTE_EXISTS' }))
    } else if (better !== undefined) {
      const cure = `leave --route ${text} out, or take a part of it`
      const message = `${better.destination} is routed to ${better.device} with a better metric: nothing goes into the tunnel`
      findings.push(warn(id, message, cure))
    }
    if (isServer && route.prefixBits === 0) {
      const cure = 'route what is behind the peer, not everything; or give the peers a more specific route'
      findings.push(warn(id, `with ${text} in the tunnel, peers are not reached that only it leads to`, cure))
    }
  }
  const stays = isServer ? '' : '; the way to the first hop stays outside'
  return findings.length > 0 ? findings : [pass(id, `${wanted.map(formatRoute).join(', ')}: free${stays}`)]
}

/** The default route goes in as two halves (docs/ROUTES.md). */
function halvesOf(route: string): string[] {
  if (route === '0.0.0.0/0') return ['0.0.0.0/1', '128.0.0.0/1']
  if (route === '::/0') return ['::/1', '8000::/1']
  return [route]
}

function parse4(line: string): SystemRoute[] {
  const [device = '', destination = '', , flags = '', , , metric = '', mask = ''] = line.split(/\s+/)
  if ((Number.parseInt(flags, 16) & UP) === 0) return []
  // In the byte order of the network, printed as a number of this machine's.
  const address = (destination.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).reverse()
  return [{ device, destination: `${address.join('.')}/${onesIn(mask)}`, metric: Number(metric) }]
}

function parse6(line: string): SystemRoute[] {
  const [destination = '', bits = '', , , , metric = '', , , flags = '', device = ''] = line.trim().split(/\s+/)
  const set = Number.parseInt(flags, 16)
  if ((set & UP) === 0 || (set & (REJECT | LOCAL)) !== 0) return []
  const address = new URL(`http://[${(destination.match(/.{4}/g) ?? []).join(':')}]`).hostname.slice(1, -1)
  return [{ device, destination: `${address}/${Number.parseInt(bits, 16)}`, metric: Number.parseInt(metric, 16) }]
}

function onesIn(mask: string): number {
  return (Number.parseInt(mask, 16).toString(2).match(/1/g) ?? []).length
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '')
}

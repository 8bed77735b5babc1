/** What the kernel has counted of packets that were no whole, right IP packets (RFC 4293, RFC 4113, and Linux's own). */
import type { Namespace } from './namespace.js'

const ERRORS: ReadonlySet<string> = new Set([
  ...['Ip.InHdrErrors', 'IpExt.InTruncatedPkts', 'IpExt.InCsumErrors'],
  ...['Icmp.InErrors', 'Icmp.InCsumErrors', 'Tcp.InErrs', 'Tcp.InCsumErrors', 'Udp.InCsumErrors'],
  ...['Ip6InHdrErrors', 'Ip6InTruncatedPkts', 'Udp6InCsumErrors', 'Icmp6InErrors'],
])

/** All of them since the namespace was made, by name; those that are zero are left out. */
export async function ipErrors(host: Namespace): Promise<Record<string, number>> {
  const text = await host.run('cat', '/proc/net/snmp', '/proc/net/netstat', '/proc/net/snmp6')
  const lines = text.split('\n')
  const counted = lines.flatMap((line, index): [string, number][] => {
    const names = line.split(/\s+/)
    const [protocol = ''] = names
    if (!protocol.endsWith(':')) return [[protocol, Number(names[1])]]
    // Two lines each: the names, and below them the values.
    const values = lines[index + 1]?.split(/\s+/) ?? []
    if (values[0] !== protocol) return []
    return names.slice(1).map((name, place) => [`${protocol.slice(0, -1)}.${name}`, Number(values[place + 1])])
  })
  return Object.fromEntries(counted.filter(([name, value]) => ERRORS.has(name) && value > 0))
}

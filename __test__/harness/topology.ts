/** The hosts that the end-to-end files draw, with the addresses they have in every drawing. */
import type { Lab } from './lab.js'
import { join, type Namespace } from './namespace.js'

/** Where servers listen, unless a test says otherwise. */
export const PORT = 7000

/** Outer addresses of two hosts on one cable. */
export const OUTER = {
  server: { ipv4: '192.0.2.1', ipv6: '2001:db8::1' },
  client: { ipv4: '192.0.2.2', ipv6: '2001:db8::2' },
} as const

/** Inner addresses, which the tunnel's two TUN devices get. */
export const INNER = {
  server: { ipv4: '10.10.0.1', ipv6: 'fd00:10::1' },
  client: { ipv4: '10.10.0.2', ipv6: 'fd00:10::2' },
} as const

export type Role = keyof typeof INNER
export type Family = keyof typeof INNER.server

const PREFIX_BITS: Record<Family, number> = { ipv4: 24, ipv6: 64 }

/** The inner addresses of one end with their prefix lengths, as `-a` wants them. */
export function innerOf(role: Role, families: readonly Family[] = ['ipv4', 'ipv6']): string[] {
  return families.map((family) => `${INNER[role][family]}/${PREFIX_BITS[family]}`)
}

/** Two hosts on one cable. */
export interface Pair {
  server: Namespace
  client: Namespace
}

/**
 *     ┌─ server ────────┐        ┌─ client ────────┐
 *     │ 192.0.2.1       ├─ veth ─┤ 192.0.2.2       │
 *     │ 2001:db8::1     │        │ 2001:db8::2     │
 *     └─────────────────┘        └─────────────────┘
 */
export async function twoHosts(lab: Lab): Promise<Pair> {
  const [server, client] = [await lab.namespace('server'), await lab.namespace('client')]
  await join(
    { namespace: server, device: 'eth0', addresses: outerOf('server') },
    { namespace: client, device: 'eth0', addresses: outerOf('client') },
  )
  return { server, client }
}

/** A host that others can be reached from only over its neighbours. */
export interface Stop {
  namespace: Namespace
  /** Its address on the cable towards the client; the client's own towards the next. */
  address: string
}

/**
 * A line of hosts, none of which forwards packets: from the client only the first proxy can be
 * reached, from the last proxy the server. The label tells several lines of a laboratory apart.
 *
 *     ┌─ client ─┐    ┌─ proxy 1 ─┐    ┌─ proxy 2 ─┐    ┌─ server ─┐
 *     │       .1 ├────┤ .2    .17 ├────┤ .18   .33 ├────┤ .34      │      192.0.2.0/28, .16/28, .32/28 …
 *     └──────────┘    └───────────┘    └───────────┘    └──────────┘
 */
export async function proxyLine(
  lab: Lab,
  proxies: number,
  label = String(proxies),
): Promise<{ client: Stop; proxies: Stop[]; server: Stop }> {
  const line: Stop[] = []
  for (let place = 0; place < proxies + 2; place += 1) {
    const namespace = await lab.namespace(`line${label}-${place}`)
    const before = line.at(-1)
    const cable = (place - 1) * 16
    if (before) {
      await join(
        { namespace: before.namespace, device: `to${place}`, addresses: [`192.0.2.${cable + 1}/28`] },
        { namespace, device: `to${place - 1}`, addresses: [`192.0.2.${cable + 2}/28`] },
      )
    }
    line.push({ namespace, address: before ? `192.0.2.${cable + 2}` : '192.0.2.1' })
  }
  const [client, server] = [line.shift(), line.pop()]
  if (!client || !server) throw new Error('a line has two ends')
  return { client, proxies: line, server }
}

function outerOf(role: Role): string[] {
  return [`${OUTER[role].ipv4}/24`, `${OUTER[role].ipv6}/64`]
}

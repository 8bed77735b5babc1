/**
 * A peer that dies without a word, in every way it can: the packets vanish, the process stands still, or whatever is in
 * the middle stays and only its far side is gone. Whoever is left must know, must not take a mute connection for a peer
 * meanwhile, and must find back when the cause is gone.
 *
 *     ┌─ client ─────┐        ┌─ middle ─────────────────────┐        ┌─ server ─────┐
 *     │ zt0          ├─ veth ─┤ forwards, or microsocks, or  ├─ veth ─┤ zt0          │
 *     │ 192.0.2.1    │        │ the relay at a Unix socket   │        │ 192.0.2.18   │
 *     └──────────────┘        └──────────────────────────────┘        └──────────────┘
 */
import { until } from '../harness/deadline.js'
import type { Lab } from '../harness/lab.js'
import { microsocks, SOCKS_PORT } from '../harness/microsocks.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { Relay } from '../harness/relay.js'
import { INNER, innerOf, PORT, proxyLine, type Stop } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'
import { tell } from './figures.js'

export const WAYS = ['direct', 'socks5', 'unix'] as const
export const FATES = ['black hole', 'stopped', 'far side gone'] as const

export interface DeadPeer {
  way: (typeof WAYS)[number]
  fate: (typeof FATES)[number]
  isLoaded: boolean
}

export interface Known {
  /** From the peer's death until this end said so. */
  clientMs: number
  /** The same at the server, where that lives on. */
  serverMs: number | undefined
  /** From the end of the cause until a ping came through. */
  backMs: number
}

/** Where the relay listens, one beside the server. */
const RELAY_PORT = PORT + 1
/** Both ways; enough that bytes are under way at any moment. */
const LOAD = ['-u', '-b', '20M', '--bidir', '-t', '600']
/** Far beyond the promise, so that a miss is a figure and not an interruption. */
const KNOWN_DEADLINE_MS = 60_000

interface Scene {
  server: Child
  client: Child
  relay: Relay | undefined
  strike: () => Promise<void> | void
  heal: () => Promise<void> | void
}

/** Lets peers die in these ways, all at once, each with hosts of its own, and tells what came of it. */
export async function deadPeers(lab: Lab, cases: readonly DeadPeer[]): Promise<void> {
  const outcomes = await Promise.allSettled(cases.map((one) => deadPeer(lab, one)))
  outcomes.forEach((outcome, index) => {
    const one = cases[index]
    if (one && outcome.status === 'fulfilled') tellKnown(one, outcome.value)
  })
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'))
}

/** Lets a peer die in that way, and back to life. */
async function deadPeer(lab: Lab, { way, fate, isLoaded }: DeadPeer): Promise<Known> {
  const label = `${way}${FATES.indexOf(fate)}${isLoaded ? 'l' : 'i'}`
  const line = await proxyLine(lab, 1, label)
  const [middle] = line.proxies
  if (!middle) throw new Error('a line of three has a middle')
  const { server, client, relay, strike, heal } = await scene({ ...line, middle }, { way, fate }, await lab.path(label))
  const at = { client: line.client.namespace, server: line.server.namespace }
  if ((await ping(at.client, INNER.server.ipv4)).received === 0) throw new Error(`no tunnel\n${client.report()}`)
  const load = isLoaded ? await startLoad(at) : []

  const lines = { client: client.lines.length, server: server.lines.length }
  const struckAt = performance.now()
  await strike()
  const knows = async (child: Child, after: number): Promise<number> => {
    await child.line(event('waiting'), { after, deadlineMs: KNOWN_DEADLINE_MS })
    return performance.now() - struckAt
  }
  let known: [number, number | undefined]
  let healedAt: number
  try {
    known = await Promise.all([
      knows(client, lines.client),
      fate === 'stopped' ? undefined : knows(server, lines.server),
    ])
    // Where a connection still comes about it is mute, and said to be.
    if (fate !== 'black hole' || way === 'unix') await client.line(/code=mute-peer/, { after: lines.client })
    const mistaken = client.lines.slice(lines.client).filter(({ text }) => event('up').test(text))
    if (mistaken.length > 0) throw new Error(`a mute connection was taken for a peer\n${client.report()}`)
  } finally {
    // In any case: a process that stands still could not even be ended.
    healedAt = performance.now()
    await heal()
  }
  await client.line(event('up'), { after: lines.client, deadlineMs: KNOWN_DEADLINE_MS })
  await until('a ping after the end of the cause', 10_000, async () => {
    return (await ping(at.client, INNER.server.ipv4, { count: 1 })).received === 1
  })
  const backMs = performance.now() - healedAt
  for (const child of load) await child.stop()
  await client.stop()
  await server.stop()
  await relay?.end()
  return { clientMs: known[0], serverMs: known[1], backMs }
}

async function startLoad(at: { client: Namespace; server: Namespace }): Promise<Child[]> {
  const sink = at.server.spawn(['iperf3', '-s', '-1', '-B', INNER.server.ipv4, '--forceflush'])
  await sink.line(/Server listening/)
  const source = at.client.spawn(['iperf3', '-c', INNER.server.ipv4, '--forceflush', ...LOAD])
  await source.line(/\[ *\d+\]\[RX-C\] +0\.00/)
  return [source, sink]
}

/** Both ends of a tunnel that is up, and how the server dies for the client. */
async function scene(
  { client, middle, server }: Record<'client' | 'middle' | 'server', Stop>,
  { way, fate }: Pick<DeadPeer, 'way' | 'fate'>,
  path: string,
): Promise<Scene> {
  const direct = `${server.address}:${PORT}`
  const behindRelay = `${server.address}:${RELAY_PORT}`
  const unix = `unix:${path}`
  const isGone = fate === 'far side gone'
  const isUnixEnd = way === 'unix' && fate === 'stopped'
  const bind = isUnixEnd ? unix : direct
  const serving = await up(server.namespace, { addresses: innerOf('server'), bind })

  let relay: Relay | undefined
  const proxies: string[] = []
  if (way === 'direct') await forwards(client, middle, server)
  if (way === 'socks5') {
    await microsocks(middle.namespace, middle.address)
    proxies.push(`${middle.address}:${SOCKS_PORT}`)
  }
  if (way === 'unix' && !isUnixEnd) relay = await Relay.between(middle.namespace, unix, direct)
  else if (isGone) relay = await Relay.between(server.namespace, behindRelay, direct)
  const connect = way === 'unix' ? unix : isGone ? behindRelay : direct
  const dialing = zportal(client.namespace, ['up', ...flags({ addresses: innerOf('client'), connect, proxies })])
  await dialing.line(event('up'))

  const ends = { server: serving, client: dialing, relay }
  switch (fate) {
    case 'stopped':
      return {
        ...ends,
        strike: () => {
          serving.signal('SIGSTOP')
        },
        heal: () => {
          serving.signal('SIGCONT')
        },
      }
    case 'far side gone':
      return { ...ends, strike: () => relay?.fault({ farGone: true }), heal: () => relay?.cut() }
    case 'black hole': {
      const hosts = [middle.namespace, server.namespace]
      return {
        ...ends,
        strike: async () => {
          await Promise.all(hosts.map(swallow))
        },
        heal: async () => {
          await Promise.all(hosts.map((host) => host.run('nft', 'flush', 'ruleset')))
        },
      }
    }
  }
}

/** The middle of a direct way forwards, and the ends know of it. */
async function forwards(client: Stop, middle: Stop, server: Stop): Promise<void> {
  await middle.namespace.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  await client.namespace.ip('route', 'add', server.address, 'via', middle.address)
  await server.namespace.ip('route', 'add', client.address, 'via', '192.0.2.17')
}

/** What comes over the cable between middle and server vanishes: nobody gets an error. */
async function swallow(host: Namespace): Promise<void> {
  const rule = 'add table inet hole; add chain inet hole cable { type filter hook prerouting priority -300; }'
  await host.run('nft', `${rule}; add rule inet hole cable iifname { "to1", "to2" } meta l4proto tcp drop`)
}

/** The promise. */
const KNOWN_MS = 12_000

/** Tells the figures of one case. */
function tellKnown({ way, fate, isLoaded }: DeadPeer, { clientMs, serverMs, backMs }: Known): void {
  const what = `${way}, ${isLoaded ? 'loaded' : 'idle'}, ${fate}`
  const told = { proof: 'dead peer', unit: 'ms' } as const
  tell({ ...told, what: `${what}: known to the client`, value: clientMs, atMost: KNOWN_MS })
  if (serverMs !== undefined) {
    tell({ ...told, what: `${what}: known to the server`, value: serverMs, atMost: KNOWN_MS })
  }
  tell({ ...told, what: `${what}: back after its end`, value: backMs })
}

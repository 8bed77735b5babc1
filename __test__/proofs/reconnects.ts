/**
 * A link that breaks again and again, and two processes that must be the same afterwards as before: no descriptor, no
 * thread, no mapping, no network device more.
 *
 *     ┌─ server ──────────────────────────────┐            ┌─ client ────────────┐
 *     │ zt0  10.10.0.1  ◄── relay, which cuts │ ◄─ veth ── ┤ zt0  10.10.0.2      │
 *     └───────────────────────────────────────┘            └─────────────────────┘
 */
import { collectedUp, held } from '../harness/collected.js'
import type { Namespace } from '../harness/namespace.js'
import { SteadyPing } from '../harness/ping.js'
import type { Footprint } from '../harness/proc.js'
import type { Child } from '../harness/process.js'
import { Relay } from '../harness/relay.js'
import { INNER, innerOf, OUTER, type Pair, PORT } from '../harness/topology.js'
import { event } from '../harness/zportal.js'
import { tell } from './figures.js'

/** The promise, from one look to the other. */
const GROWTH_KIB = 1024
const DEADLINE_MS = 20_000

/**
 * Breaks the link so often. What grows is counted from the break `from` on; memory only where that is given, because a
 * young process still warms up.
 */
export async function reconnects(hosts: Pair, count: number, { from }: { from?: number } = {}): Promise<void> {
  const direct = `${OUTER.server.ipv4}:${PORT}`
  const behindRelay = `${OUTER.server.ipv4}:${PORT + 1}`
  const server = await collectedUp(hosts.server, { addresses: innerOf('server'), bind: direct })
  const relay = await Relay.between(hosts.server, behindRelay, direct)
  const client = await collectedUp(hosts.client, { addresses: innerOf('client'), connect: behindRelay })
  // So that each link carries something: a peer that never does is dialed ever more seldom.
  await using steady = new SteadyPing(hosts.client, INNER.server.ipv4, 10)

  const ends = { client, server }
  let before = await look(ends, hosts)
  const startedAt = performance.now()
  for (let turn = 1; turn <= count; turn += 1) {
    await steady.answer(DEADLINE_MS)
    const after = client.lines.length
    await relay.cut()
    await client.line(event('up'), { after, deadlineMs: DEADLINE_MS })
    if (turn === from) {
      await steady.answer(DEADLINE_MS)
      before = await look(ends, hosts)
    }
  }
  const seconds = (performance.now() - startedAt) / 1000
  await steady.answer(DEADLINE_MS)
  const now = await look(ends, hosts)

  const proof = `${count} reconnects`
  for (const end of ['client', 'server'] as const) {
    const kinds = ['descriptors', 'threads', 'links'] as const
    for (const what of from === undefined ? kinds : ([...kinds, 'mappings'] as const)) {
      tell({
        proof,
        what: `more ${what} of the ${end}`,
        value: now[end][what] - before[end][what],
        unit: '',
        atMost: 0,
      })
    }
    if (from === undefined) continue
    const grown = now[end].residentKib - before[end].residentKib
    tell({ proof, what: `more memory of the ${end}, after ${from}`, value: grown, unit: 'KiB', atMost: GROWTH_KIB })
  }
  tell({ proof, what: 'altogether', value: seconds, unit: 's' })
  await client.stop()
  await relay.end()
  await server.stop()
}

type Look = Record<'client' | 'server', Footprint & { links: number }>

async function look(ends: Record<'client' | 'server', Child>, hosts: Pair): Promise<Look> {
  const one = async (child: Child, host: Namespace): Promise<Footprint & { links: number }> => ({
    ...(await held(child)),
    links: (await host.ip('-o', 'link', 'show')).split('\n').length - 1,
  })
  return { client: await one(ends.client, hosts.client), server: await one(ends.server, hosts.server) }
}

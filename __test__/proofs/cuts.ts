/**
 * A peer that is torn away at any byte, under traffic both ways: what comes out of the other TUN is whole packets, each
 * as it was sent, whether the stream was closed, reset, ended one way only, or a bit of it was another.
 *
 *     ┌─ server ───────────────────────────────────┐            ┌─ client ────────────┐
 *     │ zt0  10.10.0.1  ◄── relay, cuts at byte N  │ ◄─ veth ── ┤ zt0  10.10.0.2      │
 *     └────────────────────────────────────────────┘            └─────────────────────┘
 */
import { ipErrors } from '../harness/ip-errors.js'
import { Marked } from '../harness/marked.js'
import { Relay } from '../harness/relay.js'
import { INNER, innerOf, OUTER, type Pair, PORT } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'
import { tell } from './figures.js'

const STRUCK_DEADLINE_MS = 30_000
/** Beyond this many bytes nothing new begins: the buffers have been around many times. */
const FARTHEST_BYTES = 4 * 1024 * 1024
/** A frame's header and the HELLO behind it: each byte of them is worth a cut of its own. */
const HELLO_FRAME_BYTES = 80

const DEEDS = ['cut', 'reset', 'half', 'flip'] as const

/** Tears the stream so often; `random` gives numbers from 0 to 1. */
export async function cuts(hosts: Pair, count: number, random: () => number): Promise<void> {
  const direct = `${OUTER.server.ipv4}:${PORT}`
  const behindRelay = `${OUTER.server.ipv4}:${PORT + 1}`
  const server = await up(hosts.server, { addresses: innerOf('server'), bind: direct })
  const relay = await Relay.between(hosts.server, behindRelay, direct)
  const client = zportal(hosts.client, ['up', ...flags({ addresses: innerOf('client'), connect: behindRelay })])
  await client.line(event('up'))
  {
    await using out = await Marked.begin(hosts.client, { namespace: hosts.server, address: INNER.server.ipv4 })
    await using back = await Marked.begin(hosts.server, { namespace: hosts.client, address: INNER.client.ipv4 })
    for (let turn = 0; turn < count; turn += 1) {
      // Every fourth within HELLO; the others at all magnitudes alike.
      const near = Math.floor(random() * HELLO_FRAME_BYTES)
      const at = turn % 4 === 0 ? near : Math.floor(FARTHEST_BYTES ** random())
      // Each deed both ways in turn.
      const deed = DEEDS[Math.floor(turn / 2) % DEEDS.length] ?? 'cut'
      const after = relay.child.lines.length
      await relay.fault({ at, do: deed, back: turn % 2 === 1, now: 'cut' })
      await relay.child.line(/"struck"/, { after, deadlineMs: STRUCK_DEADLINE_MS }).catch((cause: unknown) => {
        throw new Error(`byte ${at} never came\n${client.report()}\n${server.report()}`, { cause })
      })
    }
    const lines = client.lines.length
    await relay.cut()
    await client.line(event('up'), { after: lines, deadlineMs: STRUCK_DEADLINE_MS })
    const arrived = [await out.arrived(), await back.arrived()]
    const sum = (what: 'datagrams' | 'bytes' | 'wrong'): number => arrived.reduce((all, one) => all + one[what], 0)
    const proof = `${count} cuts at any byte`
    tell({ proof, what: 'pieces of data that were not as sent', value: sum('wrong'), unit: '', atMost: 0 })
    const errors = [await ipErrors(hosts.server), await ipErrors(hosts.client)].flatMap((one) => Object.entries(one))
    const named = errors.map(([name]) => name).join(' ')
    const refused = errors.reduce((all, [, value]) => all + value, 0)
    tell({ proof, what: `packets that were no whole ones ${named}`.trim(), value: refused, unit: '', atMost: 0 })
    for (const end of ['server', 'client'] as const) {
      const { errors, dropped } = (await hosts[end].counters('zt0')).received
      tell({ proof, what: `packets refused by the TUN of the ${end}`, value: errors + dropped, unit: '', atMost: 0 })
    }
    tell({ proof, what: 'datagrams that arrived', value: sum('datagrams'), unit: '' })
    tell({ proof, what: 'of the streams', value: sum('bytes') / 1024, unit: 'KiB' })
    if (sum('datagrams') === 0 || sum('bytes') === 0) throw new Error('there was no traffic')
  }
  await client.stop()
  await relay.end()
  await server.stop()
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

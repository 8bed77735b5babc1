/**
 * A cable that is pulled and put in again, at either end, for moments and for longer than a peer is waited for: traffic
 * must flow again soon after.
 *
 *     ┌─ server ─────────────┐                 ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══ tunnel ════ │ zt0  10.10.0.2       │
 *     │ eth0 192.0.2.1:7000  ├── ✂ veth ✂ ─────┤ eth0 192.0.2.2       │
 *     └──────────────────────┘                 └──────────────────────┘
 */
import { setTimeout as sleep } from 'node:timers/promises'

import { SteadyPing } from '../harness/ping.js'
import { INNER, innerOf, OUTER, type Pair, PORT } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'
import { tell } from './figures.js'

/** The promise: traffic within this time after the cable is back. */
const BACK_MS = 3000
/** Beyond it, so that a miss is a figure. */
const BACK_DEADLINE_MS = 30_000

/** How long the cable is out, in turn: mostly moments, some longer than TCP is patient, one longer than a peer is. */
const OUT_MS = [20, 300, 0, 700, 50, 2000, 3500, 150, 1000, 13_000]

/** Pulls the cable so often. */
export async function flaps(hosts: Pair, count: number): Promise<void> {
  const bind = `${OUTER.server.ipv4}:${PORT}`
  const server = await up(hosts.server, { addresses: innerOf('server'), bind })
  const client = zportal(hosts.client, ['up', ...flags({ addresses: innerOf('client'), connect: bind })])
  await client.line(event('up'))
  await using steady = new SteadyPing(hosts.client, INNER.server.ipv4)
  await steady.answer(BACK_DEADLINE_MS)
  const back: number[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const host = turn % 2 === 0 ? hosts.client : hosts.server
    await host.ip('link', 'set', 'eth0', 'down')
    // Not waiting for anything: this is how long the cable is out.
    await sleep(OUT_MS[turn % OUT_MS.length])
    await host.ip('link', 'set', 'eth0', 'up')
    const upAt = performance.now()
    await steady.answer(BACK_DEADLINE_MS).catch((cause: unknown) => {
      throw new Error(`no traffic after flap ${turn + 1}\n${client.report()}\n${server.report()}`, { cause })
    })
    back.push(performance.now() - upAt)
  }
  const worst = Math.max(...back)
  const turn = back.indexOf(worst)
  const which = `flap ${turn + 1}, ${turn % 2 === 0 ? 'client' : 'server'}, out for ${OUT_MS[turn % OUT_MS.length]} ms`
  const told = { proof: `${count} link flaps`, unit: 'ms' } as const
  tell({ ...told, what: `traffic after the link came back, at worst (${which})`, value: worst, atMost: BACK_MS })
  tell({ ...told, what: 'in the mean', value: back.reduce((sum, ms) => sum + ms, 0) / count })
  // Not of a client that waits: it is the pauses that must be seen to be short.
  await client.stop()
  await server.stop()
}

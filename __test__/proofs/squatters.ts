/**
 * Somebody who comes first and says nothing, or too little: the true peer, who speaks, is served all the same.
 *
 *     ┌─ server ─────────────┐                  ┌─ client ──────────────────────────┐
 *     │ zt0  10.10.0.1       │ ◄══ tunnel ════► │ zt0  10.10.0.2   comes later      │
 *     │ eth0 192.0.2.1:7000  │ ◄── veth ──────► │ eth0 192.0.2.2   squatters        │
 *     └──────────────────────┘                  └───────────────────────────────────┘
 */
import { fileURLToPath } from 'node:url'

import { until } from '../harness/deadline.js'
import { descriptors } from '../harness/proc.js'
import { ping } from '../harness/ping.js'
import { INNER, innerOf, OUTER, type Pair, PORT } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'
import { tell } from './figures.js'

const SCRIPT = fileURLToPath(new URL('../harness/inside/squat.mjs', import.meta.url))

/** The promise. */
const KEPT_OUT_MS = 6000

export interface Squat {
  name: string
  squatters: number
  /** What each sends before it falls silent, in hexadecimal. */
  says: string
  /** How many descriptors the server has for them; enough if it is not said. */
  descriptors?: number
}

export const SQUATS: readonly Squat[] = [
  { name: 'one that says nothing', squatters: 1, says: '' },
  { name: 'one with half a header', squatters: 1, says: '5a505254' },
  { name: 'one with a header and no payload', squatters: 1, says: '5a505254000000000000005400000000' },
  { name: 'more than the door holds', squatters: 600, says: '' },
  { name: 'more than there are descriptors', squatters: 600, says: '', descriptors: 8 },
  { name: 'more than the door holds, each with half a header', squatters: 600, says: '5a505254' },
]

/** How long a squatter keeps somebody out who says nothing either, as an original may. */
export async function silentPeer(hosts: Pair): Promise<void> {
  const bind = `${OUTER.server.ipv4}:${PORT}`
  const server = await up(hosts.server, { addresses: innerOf('server'), bind })
  const squat = hosts.client.spawn([process.execPath, SCRIPT, OUTER.server.ipv4, String(PORT), '1', ''])
  // It sits when it hears our HELLO.
  await squat.line(/^heard$/)
  const original = hosts.client.spawn([process.execPath, SCRIPT, OUTER.server.ipv4, String(PORT), '1', ''])
  await original.line(/^all connected$/)
  const startedAt = performance.now()
  await original.line(/^heard$/, { deadlineMs: 60_000 })
  const value = performance.now() - startedAt
  tell({
    proof: 'squatters',
    what: 'one that says nothing, kept a silent original out',
    value,
    unit: 'ms',
    atMost: KEPT_OUT_MS,
  })
  await squat.exitsWith(0)
  await server.stop()
  await original.exitsWith(0)
}

/** How long such squatters keep a ZPortal out, who comes after them. */
export async function squatters(hosts: Pair, { name, squatters: count, says, descriptors: few }: Squat): Promise<void> {
  const bind = `${OUTER.server.ipv4}:${PORT}`
  const end = { addresses: innerOf('server'), bind }
  const idle = await up(hosts.server, end)
  const before = descriptors(idle.pid).length
  await idle.stop()
  const server = await up(hosts.server, end, few === undefined ? [] : [`--nofile=${before + few}`])
  const squat = hosts.client.spawn([process.execPath, SCRIPT, OUTER.server.ipv4, String(PORT), String(count), says])
  await squat.line(/^all connected$/)
  const client = zportal(hosts.client, ['up', ...flags({ addresses: innerOf('client'), connect: bind })])
  await client.line(event('connecting'))
  const startedAt = performance.now()
  await client.line(event('up'), { deadlineMs: 60_000 })
  await until('a ping', 60_000, async () => {
    return (await ping(hosts.client, INNER.server.ipv4, { count: 1 })).received === 1
  })
  const keptOutMs = performance.now() - startedAt
  tell({ proof: 'squatters', what: `${name}, kept the peer out`, value: keptOutMs, unit: 'ms', atMost: KEPT_OUT_MS })
  await squat.stop()
  // One more than before: the peer's.
  await until('no descriptor of a squatter', 5000, () => descriptors(server.pid).length <= before + 1)
  await client.stop()
  await server.stop()
}

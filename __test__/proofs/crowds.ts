/**
 * A crowd at the door beside a seated peer, who must not notice, and of whom nothing may remain.
 *
 *     ┌─ server ─────────────┐                  ┌─ client ───────────────────────────┐
 *     │ zt0  10.10.0.1       │ ◄══ tunnel ════► │ zt0  10.10.0.2   the seated peer   │
 *     │ eth0 192.0.2.1:7000  │ ◄── veth ──────► │ eth0 192.0.2.2   thousands at once │
 *     └──────────────────────┘                  └────────────────────────────────────┘
 */
import { setTimeout as sleep } from 'node:timers/promises'

import { type Crowd, crowd } from '../harness/crowd.js'
import { until } from '../harness/deadline.js'
import { SteadyPing } from '../harness/ping.js'
import { footprint } from '../harness/proc.js'
import { INNER, innerOf, OUTER, type Pair, PORT } from '../harness/topology.js'
import { up } from '../harness/zportal.js'
import { tell } from './figures.js'

/** The promises. */
const P99_TIMES_QUIET = 2
const GROWTH_KIB = 4096

const PING_EVERY_MS = 5
const QUIET_MS = 5000

/** Lets the crowd come while the peer pings; its round trips are compared with quiet ones only where the machine is. */
export async function crowds(
  hosts: Pair,
  { connections, atOnce }: Crowd,
  { isMachineQuiet }: { isMachineQuiet: boolean },
): Promise<void> {
  const bind = `${OUTER.server.ipv4}:${PORT}`
  const server = await up(hosts.server, { addresses: innerOf('server'), bind })
  const client = await up(hosts.client, { addresses: innerOf('client'), connect: bind })
  const quiet = await watched(server.pid, hosts, () => sleep(isMachineQuiet ? QUIET_MS : 0))
  const before = footprint(server.pid)
  let outcome = { connected: 0, refused: 0 }
  const loud = await watched(server.pid, hosts, async () => {
    outcome = await crowd(hosts.client, { address: OUTER.server.ipv4, port: PORT }, { connections, atOnce })
  })
  if (outcome.connected < connections) throw new Error(`only ${outcome.connected} of ${connections} came in`)
  if (outcome.refused === 0) throw new Error('no stranger heard why it was refused')

  const proof = `${connections} connections, ${atOnce} at once`
  tell({ proof, what: 'packets of the seated peer lost', value: loud.lost, unit: '', atMost: 0 })
  tell({ proof, what: 'its p99 round trip, quiet', value: quiet.p99Ms, unit: 'ms' })
  tell({
    ...{ proof, what: 'its p99 round trip beside the crowd', unit: 'ms' },
    ...{ value: loud.p99Ms, ...(isMachineQuiet ? { atMost: P99_TIMES_QUIET * quiet.p99Ms } : {}) },
  })
  tell({ proof, what: 'its median round trip, quiet', value: quiet.medianMs, unit: 'ms' })
  tell({ proof, what: 'its median round trip beside the crowd', value: loud.medianMs, unit: 'ms' })
  const grown = loud.peakKib - quiet.peakKib
  tell({ proof, what: 'more memory of the server at its peak', value: grown, unit: 'KiB', atMost: GROWTH_KIB })
  await until('as many descriptors as before', 5000, () => footprint(server.pid).descriptors === before.descriptors)
  const after = footprint(server.pid)
  tell({ proof, what: 'descriptors left', value: after.descriptors - before.descriptors, unit: '', atMost: 0 })
  tell({ proof, what: 'threads left', value: after.threads - before.threads, unit: '', atMost: 0 })
  tell({ proof, what: 'altogether', value: loud.seconds, unit: 's' })
  await client.stop()
  await server.stop()
}

interface Watched {
  lost: number
  medianMs: number
  p99Ms: number
  peakKib: number
  seconds: number
}

/** What the peer felt and what the server held while something went on. */
async function watched(server: number, hosts: Pair, work: () => Promise<unknown>): Promise<Watched> {
  const pings = new SteadyPing(hosts.client, INNER.server.ipv4, PING_EVERY_MS)
  await pings.answer(10_000)
  const startedAt = performance.now()
  let peakKib = footprint(server).residentKib
  const look = setInterval(() => (peakKib = Math.max(peakKib, footprint(server).residentKib)), 50)
  try {
    await work()
  } finally {
    clearInterval(look)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const { rttsMs, lost } = await pings.end()
  rttsMs.sort((a, b) => a - b)
  const at = (share: number): number => rttsMs[Math.floor(share * (rttsMs.length - 1))] ?? NaN
  return { lost, medianMs: at(0.5), p99Ms: at(0.99), peakKib, seconds }
}

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

/**
 * Lets the crowd come while the peer pings. Its round trips are judged by so many `rounds`, each with a quiet time and a
 * crowd; without any, as on a busy machine, it is one crowd, and they are not.
 */
export async function crowds(
  hosts: Pair,
  { connections, atOnce }: Crowd,
  { rounds }: { rounds: number },
): Promise<void> {
  const bind = `${OUTER.server.ipv4}:${PORT}`
  const server = await up(hosts.server, { addresses: innerOf('server'), bind })
  const client = await up(hosts.client, { addresses: innerOf('client'), connect: bind })
  const before = footprint(server.pid)
  const quiet: Watched[] = []
  const loud: Watched[] = []
  for (let round = 0; round < Math.max(1, rounds); round += 1) {
    if (rounds > 0) quiet.push(await watched(server.pid, hosts, () => sleep(QUIET_MS)))
    const one = await watched(server.pid, hosts, async () => {
      const to = { address: OUTER.server.ipv4, port: PORT }
      const { connected, refused } = await crowd(hosts.client, to, { connections, atOnce })
      if (connected < connections) throw new Error(`only ${connected} of ${connections} came in`)
      if (refused === 0) throw new Error('no stranger heard why it was refused')
    })
    loud.push(one)
  }
  const proof = `${connections} connections, ${atOnce} at once`
  const lost = loud.reduce((sum, one) => sum + one.lost, 0)
  tell({ proof, what: 'packets of the seated peer lost', value: lost, unit: '', atMost: 0 })
  if (rounds > 0) {
    const quietMs = median(quiet.map(({ p99Ms }) => p99Ms))
    const loudMs = median(loud.map(({ p99Ms }) => p99Ms))
    tell({ proof, what: `its p99 round trip, quiet, median of ${rounds}`, value: quietMs, unit: 'ms' })
    const what = `its p99 round trip beside the crowd, median of ${rounds}`
    tell({ proof, what, value: loudMs, unit: 'ms', atMost: P99_TIMES_QUIET * quietMs })
  }
  const grown = Math.max(...loud.map(({ peakKib }) => peakKib)) - before.residentKib
  tell({ proof, what: 'more memory of the server at its peak', value: grown, unit: 'KiB', atMost: GROWTH_KIB })
  await until('as many descriptors as before', 5000, () => footprint(server.pid).descriptors === before.descriptors)
  const after = footprint(server.pid)
  tell({ proof, what: 'descriptors left', value: after.descriptors - before.descriptors, unit: '', atMost: 0 })
  tell({ proof, what: 'threads left', value: after.threads - before.threads, unit: '', atMost: 0 })
  const seconds = loud.reduce((sum, one) => sum + one.seconds, 0)
  tell({ proof, what: 'for all crowds', value: seconds, unit: 's' })
  await client.stop()
  await server.stop()
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

interface Watched {
  lost: number
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
  return { lost, p99Ms: rttsMs[Math.floor(0.99 * (rttsMs.length - 1))] ?? NaN, peakKib, seconds }
}

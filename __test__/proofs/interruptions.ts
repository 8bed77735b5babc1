/**
 * What a machine does to a process that goes on living: it is stopped for a minute, its device is taken down, or away,
 * and there are no descriptors left.
 *
 *     ┌─ server ─────────────┐                 ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══ tunnel ════ │ zt0  10.10.0.2       │
 *     │ to1  192.0.2.2:7000  ├───── veth ──────┤ to1  192.0.2.1       │
 *     └──────────────────────┘                 └──────────────────────┘
 */
import { setTimeout as sleep } from 'node:timers/promises'

import { crowd } from '../harness/crowd.js'
import { until } from '../harness/deadline.js'
import type { Lab } from '../harness/lab.js'
import { SteadyPing } from '../harness/ping.js'
import { footprint } from '../harness/proc.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, type Pair, PORT, proxyLine, type Role } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'
import { tell } from './figures.js'

/** The promises: traffic so soon after the cause is gone, and an end with its code so soon after it. */
const BACK_MS = 3000
const END_MS = 1000
const DEADLINE_MS = 60_000

interface Tunnel {
  hosts: Pair
  bind: string
  server: Child
  client: Child
  pings: SteadyPing
}

/** A tunnel on two hosts of its own, so that several stand side by side. `limit` is the server's RLIMIT_NOFILE. */
async function tunnel(lab: Lab, label: string, limit?: number): Promise<Tunnel> {
  const line = await proxyLine(lab, 0, label)
  const hosts = { server: line.server.namespace, client: line.client.namespace }
  const bind = `${line.server.address}:${PORT}`
  const limits = limit === undefined ? [] : [`--nofile=${limit}`]
  const server = await up(hosts.server, { addresses: innerOf('server'), bind }, limits)
  const client = await up(hosts.client, { addresses: innerOf('client'), connect: bind })
  const pings = new SteadyPing(hosts.client, INNER.server.ipv4)
  await pings.answer(DEADLINE_MS)
  return { hosts, bind, server, client, pings }
}

async function end({ server, client, pings }: Tunnel): Promise<void> {
  await pings[Symbol.asyncDispose]()
  await client.stop()
  await server.stop()
}

/** Stops one end, the other and both, side by side, for so long. */
export async function stops(lab: Lab, forMs: number): Promise<void> {
  const whom: readonly Role[][] = [['client'], ['server'], ['client', 'server']]
  await Promise.all(
    whom.map(async (roles) => {
      const one = await tunnel(lab, `stop${roles.join('')}`)
      for (const role of roles) one[role].signal('SIGSTOP')
      try {
        // Not waiting for anything: this is how long it stands still.
        await sleep(forMs)
      } finally {
        for (const role of roles) one[role].signal('SIGCONT')
      }
      const awakeAt = performance.now()
      await one.pings.answer(DEADLINE_MS)
      const value = performance.now() - awakeAt
      const what = `${roles.join(' and ')}: traffic after SIGCONT`
      tell({ proof: `stopped for ${forMs / 1000} s`, what, value, unit: 'ms', atMost: BACK_MS })
      await end(one)
    }),
  )
}

/** Takes the TUN of each end down and up again so often. */
export async function devicesDown(lab: Lab, count: number): Promise<void> {
  const one = await tunnel(lab, 'down')
  const times: number[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const host = turn % 2 === 0 ? one.hosts.client : one.hosts.server
    await host.ip('link', 'set', 'zt0', 'down')
    await host.ip('link', 'set', 'zt0', 'up')
    const upAt = performance.now()
    await one.pings.answer(DEADLINE_MS)
    times.push(performance.now() - upAt)
  }
  const told = { proof: `${count} times our own TUN down and up`, atMost: BACK_MS } as const
  tell({ ...told, what: 'traffic after it is up, at worst', value: Math.max(...times), unit: 'ms' })
  // The link has not noticed.
  const losses = [one.client, one.server].flatMap(({ lines }) =>
    lines.filter(({ text }) => event('waiting').test(text)),
  )
  tell({ ...told, what: 'links that were lost', value: losses.length, unit: '', atMost: 0 })
  await end(one)
}

/** Deletes the TUN of one end under traffic, so often. */
export async function devicesGone(lab: Lab, count: number): Promise<void> {
  const times: number[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const one = await tunnel(lab, `gone${turn}`)
    const role: Role = turn % 2 === 0 ? 'client' : 'server'
    const goneAt = performance.now()
    await one.hosts[role].ip('link', 'delete', 'zt0')
    await one[role].exitsWith(1)
    times.push(performance.now() - goneAt)
    if (!one[role].stderr.includes('ZP_TUN_GONE')) throw new Error(one[role].report())
    await end(one)
  }
  const proof = `${count} times our own TUN deleted`
  tell({ proof, what: 'ended with ZP_TUN_GONE, at worst', value: Math.max(...times), unit: 'ms', atMost: END_MS })
}

/** Lets a crowd take every descriptor that the server may have. */
export async function shortage(lab: Lab, connections: number): Promise<void> {
  const proof = `no descriptors left, ${connections} connections`
  const one = await tunnel(lab, 'few')
  const { descriptors } = footprint(one.server.pid)
  await end(one)
  // A few of the crowd get in; for more than that somebody has to leave.
  const tight = await tunnel(lab, 'tight', descriptors + 8)
  const address = tight.bind.split(':')[0] ?? ''
  await crowd(tight.hosts.client, { address, port: PORT }, { connections, atOnce: Math.min(500, connections) })
  await tight.server.line(/code=door-full/)
  const { lost } = await tight.pings.end()
  tell({ proof, what: 'packets of the seated peer lost', value: lost, unit: '', atMost: 0 })
  await until('the end of every stranger', DEADLINE_MS, () => footprint(tight.server.pid).descriptors <= descriptors)
  await tight.client.stop()
  const next = zportal(tight.hosts.client, ['up', ...flags({ addresses: innerOf('client'), connect: tight.bind })])
  const startedAt = performance.now()
  await next.line(event('up'))
  tell({ proof, what: 'the next peer is served', value: performance.now() - startedAt, unit: 'ms', atMost: BACK_MS })
  tell({ proof, what: 'lines in the log', value: tight.server.lines.length, unit: '' })
  await next.stop()
  await tight.server.stop()
}

/**
 * The end by a signal in the middle of everything: four streams both ways at full speed.
 *
 *     ┌─ server ─────────────┐                 ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══ tunnel ════ │ zt0  10.10.0.2       │
 *     │ eth0 192.0.2.1:7000  ├───── veth ──────┤ eth0 192.0.2.2       │
 *     └──────────────────────┘                 └──────────────────────┘
 */
import { until } from '../harness/deadline.js'
import type { Child } from '../harness/process.js'
import { controlFiles, traces } from '../harness/traces.js'
import { INNER, innerOf, OUTER, type Pair, PORT, type Role } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'
import { tell } from './figures.js'

/** The promises: a signal is obeyed within this time, and a killed process is cleaned up after by the kernel within it. */
const END_MS = 1000
const DEADLINE_MS = 10_000

export interface Ending {
  /** Whose end. */
  role: Role
  signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'
}

export const ENDINGS: readonly Ending[] = (['server', 'client'] as const).flatMap((role) =>
  (['SIGTERM', 'SIGINT', 'SIGKILL'] as const).map((signal) => ({ role, signal })),
)

/** Ends one end so often, each time under load. */
export async function endings(hosts: Pair, { role, signal }: Ending, count: number): Promise<void> {
  const times: number[] = []
  const before = { server: await traces(hosts.server), client: await traces(hosts.client) }
  for (let turn = 0; turn < count; turn += 1) {
    const bind = `${OUTER.server.ipv4}:${PORT}`
    const routed = (network: string): string[] => ['--route', network]
    const more = { server: routed('198.51.100.0/25'), client: routed('198.51.100.128/25') }
    const server = await up(hosts.server, { addresses: innerOf('server'), bind, more: more.server })
    const dial = flags({ addresses: innerOf('client'), connect: bind, more: more.client })
    const client = zportal(hosts.client, ['up', ...dial])
    await client.line(event('up'))
    const load = await startLoad(hosts)
    const ending = role === 'server' ? server : client
    const startedAt = performance.now()
    ending.signal(signal)
    const exit = await ending.exit(DEADLINE_MS)
    if (signal !== 'SIGKILL' && exit.code !== 0) throw new Error(`exit ${String(exit.code)}\n${ending.report()}`)
    if (signal === 'SIGKILL') {
      await until('the end of every trace', DEADLINE_MS, async () => (await traces(hosts[role])) === before[role])
    }
    times.push(performance.now() - startedAt)
    if ((await traces(hosts[role])) !== before[role]) throw new Error(`left:\n${await traces(hosts[role])}`)
    // A killed one cannot take its files with it; the next tunnel sweeps them.
    if (signal !== 'SIGKILL' && controlFiles(hosts[role]).length > 0) throw new Error(controlFiles(hosts[role]).join())
    for (const child of load) await child.stop()
    await client.stop()
    await server.stop()
  }
  tell({
    ...{ proof: `${signal} under full load`, what: `the ${role} is gone, at worst of ${count}`, unit: 'ms' },
    ...{ value: Math.max(...times), atMost: END_MS },
  })
  // The files that a killed one left went with the next tunnel that ended well.
  await (await up(hosts[role], { addresses: [], bind: `${OUTER[role].ipv4}:${PORT}` })).stop()
  if (controlFiles(hosts[role]).length > 0) throw new Error(`not swept: ${controlFiles(hosts[role]).join()}`)
}

/** Four streams both ways; under way when this returns. */
async function startLoad(hosts: Pair): Promise<Child[]> {
  const sink = hosts.server.spawn(['iperf3', '-s', '-1', '-B', INNER.server.ipv4, '--forceflush'])
  await sink.line(/Server listening/)
  const source = hosts.client.spawn(['iperf3', '-c', INNER.server.ipv4, '-P', '4', '--bidir', '-t', '600'])
  const start = await hosts.server.counters('zt0')
  await until('16 MiB both ways', DEADLINE_MS, async () => {
    const now = await hosts.server.counters('zt0')
    const bytes = [now.received.bytes - start.received.bytes, now.sent.bytes - start.sent.bytes]
    return Math.min(...bytes) > 16 * 1024 * 1024
  })
  return [source, sink]
}

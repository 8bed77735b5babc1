/*
 * A tunnel that leads through a proxy before a slow link: what stands in the proxy is limited by what the peer
 * reports, and when the proxy stops, what waits is bounded, what is dropped is counted, and the session goes on.
 *
 *     ┌─ client ──────┐      ┌─ proxy 1 ─────┐               ┌─ server ──────┐
 *     │ zt0 10.10.0.2 │      │  microsocks   │  20 Mbit/s,   │ zt0 10.10.0.1 │
 *     │  192.0.2.1/28 ├ veth ┤ .2        .17 ├ 200 ms buffer ┤ .18           │
 *     └───────────────┘      └───────────────┘               └───────────────┘
 */
import { join } from 'node:path'

import { beforeAll, beforeEach, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { iperf3 } from '../harness/iperf3.js'
import { microsocks, SOCKS_PORT } from '../harness/microsocks.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import { peakResidentBytes } from '../harness/proc.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, PORT, proxyLine, type Stop } from '../harness/topology.js'
import { event, ROOT, up, zportal } from '../harness/zportal.js'

const SLOW = ['tbf', 'rate', '20mbit', 'burst', '32k', 'latency', '200ms']
/** Without a limit the proxy and its sockets hold megabytes; with it, tens of kilobytes. */
const STANDING_MAX_BYTES = 256 * 1024
const QUEUE_MAX_BYTES = 6 * 1024 * 1024
/** The bound of the queue, and what Node takes for itself meanwhile. */
const MEMORY_MAX_BYTES = 16 * 1024 * 1024
/** Less than the silence after which a peer is believed dead. */
const STALL_MS = 5000
const FLOOD = [process.execPath, join(ROOT, 'scripts', 'bench', 'inside', 'pour.mjs'), 'flood']

type Stats = Record<string, number>

endToEnd('the queue behind a proxy', (lab) => {
  let line: { client: Stop; proxies: Stop[]; server: Stop }
  let proxy: Child
  let client: Child
  beforeAll(async () => {
    line = await proxyLine(lab, 1)
    for (const [at, device] of [
      [line.proxies[0], 'to2'],
      [line.server, 'to1'],
    ] as const) {
      await at?.namespace.run('tc', 'qdisc', 'add', 'dev', device, 'root', ...SLOW)
    }
  })
  beforeEach(async () => {
    const [stop] = line.proxies
    if (!stop) throw new Error('there is a proxy')
    proxy = await microsocks(stop.namespace, stop.address)
    const server = await up(line.server.namespace, {
      addresses: innerOf('server'),
      bind: `${line.server.address}:${PORT}`,
    })
    client = await up(line.client.namespace, {
      addresses: innerOf('client'),
      connect: `${line.server.address}:${PORT}`,
      proxies: [`${stop.address}:${SOCKS_PORT}`],
    })
    await server.line(event('up'))
  })

  async function stats({ namespace }: { namespace: Namespace }): Promise<Stats> {
    const { stdout } = await zportal(namespace, ['status', 'zt0', '--json']).exitsWith(0)
    return (JSON.parse(stdout) as { stats: Stats }).stats
  }

  /** What the sockets of the proxy hold: received and not read, sent and not acknowledged, or not yet sent. */
  async function standingBytes(): Promise<number> {
    const sockets = (await line.proxies[0]?.namespace.run('ss', '-tnH')) ?? ''
    const numbers = sockets.split('\n').flatMap((socket) => socket.trim().split(/\s+/).slice(1, 3).map(Number))
    return numbers.reduce((sum, bytes) => sum + bytes, 0)
  }

  test('no more is under way than the peer reports', async () => {
    const server = { namespace: line.server.namespace, address: INNER.server.ipv4 }
    const loading = { isOver: false }
    const load = iperf3(line.client.namespace, server, { seconds: 4 }).finally(() => (loading.isOver = true))
    const [windows, standing]: [number[], number[]] = [[], []]
    while (!loading.isOver) {
      standing.push(await standingBytes())
      windows.push((await stats(line.client))['windowBytes'] ?? 0)
    }
    expect(await load).toBeGreaterThan(0)
    expect(windows.length).toBeGreaterThan(2)
    expect(Math.min(...windows)).toBeGreaterThan(0)
    expect(Math.max(...windows)).toBeLessThan(STANDING_MAX_BYTES)
    expect(Math.max(...standing)).toBeLessThan(STANDING_MAX_BYTES)
    const after = await stats(line.client)
    expect(after['rateBytesPerSecond']).toBeGreaterThan(0)
    expect(after['minRttUs']).toBeGreaterThan(0)
  })

  test('a proxy that stops costs bounded memory and counted packets, and the session goes on', async () => {
    const flood = line.client.namespace.spawn([...FLOOD, INNER.server.ipv4, '40'])
    await until('the queue is at work', 10_000, async () => ((await stats(line.client))['dropsCodel'] ?? 0) > 0)
    const memoryBytes = peakResidentBytes(client.pid)
    process.kill(proxy.pid, 'SIGSTOP')
    const stoppedAt = performance.now()
    const before = await stats(line.client)
    await until('the queue is full', STALL_MS, async () => {
      const { queueBytes = 0, dropsOverlimit = 0 } = await stats(line.client)
      expect(queueBytes).toBeLessThanOrEqual(QUEUE_MAX_BYTES)
      return dropsOverlimit > (before['dropsOverlimit'] ?? 0)
    })
    await new Promise((resolve) => setTimeout(resolve, STALL_MS - (performance.now() - stoppedAt)))
    process.kill(proxy.pid, 'SIGCONT')
    await flood.stop()
    await until('nothing waits', 20_000, async () => (await stats(line.client))['queuePackets'] === 0)
    expect(await ping(line.client.namespace, INNER.server.ipv4, { count: 3 })).toMatchObject({ received: 3 })

    expect(peakResidentBytes(client.pid) - memoryBytes).toBeLessThan(MEMORY_MAX_BYTES)
    const after = await stats(line.client)
    expect(after['reconnects']).toBe(0)
    const dropped = Object.entries(after)
      .filter(([name]) => name.startsWith('drops'))
      .reduce((sum, [, count]) => sum + count, 0)
    // Whatever the kernel gave has left, or was dropped and counted.
    const { sent } = await line.client.namespace.counters('zt0')
    expect((after['txPackets'] ?? 0) + dropped).toBe(sent.packets)
  })
})

/*
 * The Node API, from programs in two namespaces: two tunnels in one process, JavaScript that stalls,
 * every way to close, and what is left afterwards.
 *
 *     ┌─ server ────────────────────────────┐          ┌─ client ────────────────────────────┐
 *     │ one Node process                    │          │ one Node process                    │
 *     │   zt0  10.10.0.1   192.0.2.1:7000 ◄─┼─ tunnel ─┼─►  zt0  10.10.0.2                   │
 *     │   zt1  10.11.0.1   192.0.2.1:7001 ◄─┼─ tunnel ─┼─►  zt1  10.11.0.2                   │
 *     │ eth0   192.0.2.1                    ├── veth ──┤ eth0   192.0.2.2                    │
 *     └─────────────────────────────────────┘          └─────────────────────────────────────┘
 */
import { existsSync, readdirSync } from 'node:fs'

import { beforeAll, beforeEach, expect, test } from 'vitest'

import { ApiProgram, type Options } from '../harness/api.js'
import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { descriptors } from '../harness/proc.js'
import { ping } from '../harness/ping.js'
import { OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { transfer } from '../harness/transfer.js'

const TUNNELS = [0, 1]
const STALL_MS = 2000
const STALL_PINGS = 100

/** The options of one end of the tunnel of that number. */
const server = (number: number): Options => ({
  name: `zt${number}`,
  addresses: [`10.1${number}.0.1/24`],
  bind: `${OUTER.server.ipv4}:${PORT + number}`,
})
const client = (number: number): Options => ({
  name: `zt${number}`,
  addresses: [`10.1${number}.0.2/24`],
  connect: `${OUTER.server.ipv4}:${PORT + number}`,
  once: true,
})

endToEnd('the Node API', (lab) => {
  let hosts: Pair
  let serving: ApiProgram
  let dialling: ApiProgram
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })
  beforeEach(() => {
    serving = new ApiProgram(hosts.server)
    dialling = new ApiProgram(hosts.client)
  })

  async function openBoth(number: number): Promise<void> {
    await serving.order('open', { key: number, options: server(number) })
    await dialling.order('open', { key: number, options: client(number) })
    await Promise.all([serving, dialling].map((program) => program.order('whenUp', { key: number })))
  }

  test('two tunnels in one process carry at the same time, and nothing keeps Node alive after them', async () => {
    for (const number of TUNNELS) await openBoth(number)
    const transfers = await Promise.all(
      TUNNELS.map((number) => transfer(hosts.client, { namespace: hosts.server, address: `10.1${number}.0.1` })),
    )
    for (const { sent, received } of transfers) expect(received).toEqual(sent)

    for (const number of TUNNELS) {
      const { rxPackets, rxBytes } = (await serving.order('stats', { key: number })) as Record<string, number>
      expect(rxPackets).toBeGreaterThan(0)
      expect(rxBytes).toBeGreaterThan(64 * 1024 * 1024)
    }
    await serving.order('close', { key: 0 })
    expect(await hosts.server.tuns()).toEqual(['zt1'])
    expect((await ping(hosts.client, '10.11.0.1')).received).toBe(10)

    await serving.order('close', { key: 1 })
    for (const number of TUNNELS) {
      expect(await dialling.order('closed', { key: number })).toMatchObject({ code: 'ZP_PEER_CLOSED' })
    }
    for (const program of [serving, dialling]) {
      program.end()
      await program.child.exitsWith(0)
    }
  })

  test(`JavaScript stalls for ${STALL_MS / 1000} s, and no ping is lost or late`, async () => {
    await openBoth(0)
    const stalled = [serving, dialling].map((program) => program.order('stall', { ms: STALL_MS }))
    const intervalMs = (STALL_MS * 0.9) / STALL_PINGS
    const result = await ping(hosts.client, '10.10.0.1', { count: STALL_PINGS, intervalMs })
    expect(result).toMatchObject({ sent: STALL_PINGS, received: STALL_PINGS })
    // Both processes were busy all the time; with JavaScript in the path these would be seconds.
    expect(result.rttMs?.max).toBeLessThan(STALL_MS / 4)
    await Promise.all(stalled)
  })

  test('an open tunnel keeps Node alive, also without anything else to do', async () => {
    await serving.order('open', { key: 0, options: server(0) })
    serving.end()
    await dialling.order('open', { key: 0, options: client(0) })
    await dialling.order('whenUp', { key: 0 })
    expect((await ping(hosts.client, '10.10.0.1')).received).toBe(10)
    expect(serving.child.running).toBe(true)
  })

  test('close, and close again', async () => {
    await openBoth(0)
    await serving.order('close', { key: 0 })
    await serving.order('close', { key: 0 })
    expect(await serving.order('closed', { key: 0 })).toMatchObject({ code: 'ZP_CLOSED' })
    expect(await serving.order('state', { key: 0 })).toBe('closed')
    expect(await hosts.server.tuns()).toEqual([])
  })

  test('the end of an `await using` block closes', async () => {
    await openBoth(0)
    await serving.order('dispose', { key: 0 })
    expect(await hosts.server.tuns()).toEqual([])
    expect(await dialling.order('closed', { key: 0 })).toMatchObject({ code: 'ZP_PEER_CLOSED' })
  })

  test('an AbortSignal closes, with its own code', async () => {
    await openBoth(0)
    await serving.order('abort', { key: 0 })
    expect(await serving.order('closed', { key: 0 })).toMatchObject({ code: 'ZP_ABORTED' })
    expect(await hosts.server.tuns()).toEqual([])
  })

  test('a signal that has aborted before opens nothing', async () => {
    const refused = serving.order('openAborted', { options: server(0), afterMs: 0 })
    await expect(refused).rejects.toMatchObject({ code: 'ZP_ABORTED' })
    expect(await hosts.server.tuns()).toEqual([])
    serving.end()
    await serving.child.exitsWith(0)
  })

  test('process.exit with an open tunnel leaves no TUN device and no socket file', async () => {
    const path = await lab.path('exit.sock')
    await serving.order('open', { key: 0, options: { ...server(0), bind: `unix:${path}` } })
    expect(existsSync(path)).toBe(true)
    serving.orderOnly('exit')
    await serving.child.exitsWith(0)
    expect(await hosts.server.tuns()).toEqual([])
    expect(existsSync(path)).toBe(false)
  })

  test('a worker thread that is terminated takes its tunnel with it, and the process lives', async () => {
    await serving.order('openInWorker', { key: 'worker', options: server(0) })
    expect(await hosts.server.tuns()).toEqual(['zt0'])
    await serving.order('terminateWorker', { key: 'worker' })
    await until('the end of the TUN', 1000, async () => (await hosts.server.tuns()).length === 0)
    await openBoth(0)
    expect((await ping(hosts.client, '10.10.0.1')).received).toBe(10)
  })

  test('opened and closed many times, several at once: no thread and no descriptor is left', async () => {
    const threads = (): number => readdirSync(`/proc/${serving.child.pid}/task`).length
    const numbers = [0, 1, 2, 3, 4, 5]
    const round = async (): Promise<void> => {
      for (const number of numbers) await serving.order('open', { key: number, options: server(number) })
      expect(await hosts.server.tuns()).toHaveLength(numbers.length)
      for (const number of numbers) await serving.order('close', { key: number })
      expect(await hosts.server.tuns()).toEqual([])
    }
    await round() // Node itself starts threads when they are first needed.
    const before = { threads: threads(), descriptors: descriptors(serving.child.pid).length }
    for (let repeat = 0; repeat < 5; repeat += 1) await round()
    await until('as many threads as before', 2000, () => threads() <= before.threads)
    await until('as many descriptors as before', 2000, async () => {
      await serving.order('forget')
      return descriptors(serving.child.pid).length <= before.descriptors
    })
  })

  test('options that are refused say what was got', async () => {
    const refused = serving.order('open', { key: 0, options: { ...server(0), mtu: 67 } })
    await expect(refused).rejects.toMatchObject({ code: 'ZP_OPTION', message: expect.stringContaining('67') as string })
    expect(await hosts.server.tuns()).toEqual([])
  })
})

/*
 * A client that has lost its peer finds it again by itself, however that was lost; its TUN device stays, and says
 * nothing late.
 *
 *     ┌─ server ─────────────┐                 ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══ tunnel ════ │ zt0  10.10.0.2       │   the server is killed and comes back,
 *     │ eth0 192.0.2.1:7000  ├───── veth ──────┤ eth0 192.0.2.2       │   the cable is pulled and put in again
 *     └──────────────────────┘                 └──────────────────────┘
 */
import { beforeAll, describe, expect, test } from 'vitest'

import { ApiProgram } from '../harness/api.js'
import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

const SERVER = `${OUTER.server.ipv4}:${PORT}`
/** The promise: after its cause has gone, an outage is over within this time. */
const BACK_MS = 3000
/** The longest pause between two dials. */
const LONGEST_PAUSE_MS = 5000

endToEnd('a client that has lost its peer', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  const serve = (): Promise<Child> => up(hosts.server, { addresses: innerOf('server'), bind: SERVER })
  const dial = (): Child => zportal(hosts.client, ['up', ...flags({ addresses: innerOf('client'), connect: SERVER })])

  /** How often a line for that event was written. */
  const count = (child: Child, name: string): number => child.lines.filter(({ text }) => event(name).test(text)).length

  async function deviceIndex(at: Namespace): Promise<string> {
    return (await at.ip('-o', 'link', 'show', 'zt0')).split(':')[0] ?? ''
  }

  test.each(['SIGTERM', 'SIGKILL'] as const)('by %s of the server comes back, on the same device', async (signal) => {
    let server = await serve()
    const client = dial()
    await client.line(event('up'))
    const index = await deviceIndex(hosts.client)
    for (let round = 1; round <= 2; round += 1) {
      const lines = client.lines.length
      server.signal(signal)
      await server.exit()
      expect((await client.line(event('waiting'), { after: lines }))[0]).toMatch(/retry_ms=\d+/)
      // What is sent meanwhile is dropped, and not delivered to the next server.
      await hosts.client.run('ping', '-c', '5', '-i', '0.01', '-W', '0.1', INNER.server.ipv4).catch(() => undefined)
      const before = await echoesReceived(hosts.server)
      server = await serve()
      await client.line(event('up'), { after: lines, deadlineMs: LONGEST_PAUSE_MS + BACK_MS })
      expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
      expect(await echoesReceived(hosts.server)).toBe(before + 10)
      expect(await hosts.client.addresses('zt0')).toEqual(innerOf('client'))
    }
    expect(await deviceIndex(hosts.client)).toBe(index)
    client.signal('SIGTERM')
    await client.exitsWith(0, 1000)
  })

  test('that was never there keeps dialling, and says so once', async () => {
    const client = dial()
    const [line] = await client.line(event('waiting'))
    expect(line).toMatch(/reason=ZP_DIAL_REFUSED/)
    // Refused dials cost nothing: within this time there are about six of them.
    await new Promise((resolve) => setTimeout(resolve, 2000))
    expect(count(client, 'waiting')).toBe(1)
    await serve()
    await client.line(event('up'), { deadlineMs: LONGEST_PAUSE_MS + BACK_MS })
    expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
  })

  test('that was never there ends at once when it dials once', async () => {
    const end = { addresses: innerOf('client'), connect: SERVER, more: ['--once'] }
    const client = zportal(hosts.client, ['up', ...flags(end)])
    await client.exitsWith(1)
    expect(client.stderr).toMatch(/^ZP_DIAL_REFUSED: /m)
  })

  test('is stopped at once while it waits', async () => {
    const client = dial()
    await client.line(event('waiting'))
    const startedAt = performance.now()
    client.signal('SIGTERM')
    await client.exitsWith(0)
    expect(performance.now() - startedAt).toBeLessThan(1000)
    expect(await hosts.client.tuns()).toEqual([])
  })

  test('ends with its code when its device is deleted while it waits', async () => {
    const client = dial()
    await client.line(event('waiting'))
    await hosts.client.ip('link', 'delete', 'zt0')
    await client.exitsWith(1)
    expect(client.stderr).toContain('ZP_TUN_GONE')
  })

  describe('because its own network went', () => {
    test('dials at once when that comes back, whatever pause it is in', async () => {
      const program = new ApiProgram(hosts.client)
      await hosts.client.ip('link', 'set', 'eth0', 'down')
      const options = { name: 'zt0', addresses: innerOf('client'), connect: SERVER }
      await program.order('open', { key: 0, options })
      try {
        await serve()
        // Long enough for the pauses to have grown to seconds.
        await new Promise((resolve) => setTimeout(resolve, 4000))
        expect(await program.order('state', { key: 0 })).toBe('waiting')
        const startedAt = performance.now()
        await hosts.client.ip('link', 'set', 'eth0', 'up')
        await program.order('whenUp', { key: 0 })
        // Without the kernel's word it would be seconds on average.
        expect(performance.now() - startedAt).toBeLessThan(1500)
        expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
      } finally {
        await hosts.client.address('eth0')
      }
      expect(await program.order('stats', { key: 0 })).toMatchObject({ reconnects: 0, peersAccepted: 1 })
      await program.order('close', { key: 0 })
    })
  })

  test('counts how often it came back', async () => {
    const program = new ApiProgram(hosts.client)
    const options = { name: 'zt0', addresses: innerOf('client'), connect: SERVER }
    await program.order('open', { key: 0, options })
    for (let round = 0; round < 3; round += 1) {
      const server = await serve()
      await program.order('whenUp', { key: 0 }, LONGEST_PAUSE_MS + BACK_MS)
      await server.stop()
      await until('the state waiting', BACK_MS, async () => (await program.order('state', { key: 0 })) === 'waiting')
    }
    expect(await program.order('stats', { key: 0 })).toMatchObject({ reconnects: 2, peersAccepted: 3 })
    await program.order('close', { key: 0 })
  })
})

/** How many ICMP echo requests this host has received since it exists (RFC 1213, icmpInEchos). */
async function echoesReceived(host: Namespace): Promise<number> {
  const snmp = await host.run('cat', '/proc/net/snmp')
  const [names = '', values = ''] = snmp.split('\n').filter((line) => line.startsWith('Icmp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('InEchos')])
}

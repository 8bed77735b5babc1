/*
 * Peers come and go: the server keeps its TUN device and serves one after another.
 *
 *     ┌─ server ─────────────┐                 ┌─ client ──────────────────────────┐
 *     │ zt0  10.10.0.1       │ ═══ tunnel ════ │ zt0  10.10.0.2   (the first)      │
 *     │                      │                 │ zt1  10.10.0.3   (the second)     │
 *     │ eth0 192.0.2.1:7000  ├───── veth ──────┤ eth0 192.0.2.2                    │
 *     └──────────────────────┘                 └───────────────────────────────────┘
 */
import { beforeAll, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import { queuedMs } from '../harness/proc.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

/** The promise: a server listens within this time of its start. */
const LISTENS_MS = 600
/**
 * The promise is about the program, not about what else the machine does: one start in time is enough,
 * and the time that it waited for a processor does not.
 */
const STARTS = 10

const SERVER = `${OUTER.server.ipv4}:${PORT}`

endToEnd('the life of a tunnel', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  const serve = (): Promise<Child> => up(hosts.server, { addresses: innerOf('server'), bind: SERVER })
  const dial = (): Promise<Child> => up(hosts.client, { addresses: innerOf('client'), connect: SERVER })
  /** The kernel's number of the server's TUN device: another device has another. */
  const deviceIndex = async (): Promise<string> =>
    (await hosts.server.ip('-o', 'link', 'show', 'zt0')).split(':')[0] ?? ''

  test('the TUN device is as it was asked for', async () => {
    await up(hosts.server, { name: 'office', mtuBytes: 1380, addresses: innerOf('server'), bind: SERVER })
    expect(await hosts.server.tuns()).toEqual(['office'])
    expect(await hosts.server.mtu('office')).toBe(1380)
    expect(await hosts.server.addresses('office')).toEqual(innerOf('server'))
  })

  test('the kernel numbers tun%d, and the log says the number', async () => {
    const server = await up(hosts.server, { name: 'tun%d', addresses: innerOf('server'), bind: SERVER })
    expect(await hosts.server.tuns()).toEqual(['tun0'])
    expect(server.stderr).toContain('tun0')
  })

  test('a server with port 0 says which port it got', async () => {
    const server = await up(hosts.server, { addresses: innerOf('server'), bind: `${OUTER.server.ipv4}:0` })
    const [, port] = await server.line(/192\.0\.2\.1:(\d+)/)
    expect(Number(port)).toBeGreaterThan(0)
    await up(hosts.client, { addresses: innerOf('client'), connect: `${OUTER.server.ipv4}:${port ?? ''}` })
    expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
  })

  test('the server keeps its TUN device and serves one client after another', async () => {
    const server = await serve()
    const index = await deviceIndex()
    for (let turn = 0; turn < 3; turn += 1) {
      const before = server.lines.length
      const client = await dial()
      await server.line(event('up'), { after: before })
      expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
      expect((await ping(hosts.server, INNER.client.ipv6)).received).toBe(10)
      client.signal('SIGTERM')
      await client.exitsWith(0)
      await server.line(event('waiting'), { after: before })
      expect(await deviceIndex()).toBe(index)
    }
  })

  test('a second client is refused while the first is seated, and the first does not notice', async () => {
    const server = await serve()
    await dial()
    await server.line(event('up'))
    const steady = ping(hosts.client, INNER.server.ipv4, { count: 200, intervalMs: 10 })
    const end = { name: 'zt1', addresses: ['10.10.0.3/32'], connect: SERVER, more: ['--once'] }
    const second = zportal(hosts.client, ['up', ...flags(end)])
    await second.exitsWith(1)
    expect(second.stderr).toMatch(/^ZP_PEER_BUSY: .*another peer is connected/m)
    // It was never up, and so its end is no loss.
    expect(second.lines.filter(({ text }) => event('up').test(text))).toEqual([])
    expect(await steady).toMatchObject({ sent: 200, received: 200 })
    expect(await hosts.client.tuns()).toEqual(['zt0'])
  })

  test('once the first has left, the next is seated', async () => {
    const server = await serve()
    const first = await dial()
    await server.line(event('up'))
    first.signal('SIGTERM')
    await first.exitsWith(0)
    await server.line(event('waiting'))
    await dial()
    expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
  })

  test('packets for a peer that is not there are dropped, not delivered late', async () => {
    const before = await echoesReceived(hosts.client)
    await serve()
    expect((await ping(hosts.server, INNER.client.ipv4, { count: 20 })).received).toBe(0)
    await dial()
    // The answer to this one comes after anything that was kept for the peer.
    expect((await ping(hosts.server, INNER.client.ipv4, { count: 1 })).received).toBe(1)
    expect(await echoesReceived(hosts.client)).toBe(before + 1)
  })

  test('the TUN device deleted under a running tunnel ends it with its code', async () => {
    const server = await serve()
    await dial()
    await hosts.server.ip('link', 'delete', 'zt0')
    await server.exitsWith(1)
    expect(server.stderr).toContain('ZP_TUN_GONE')
  })

  test('the TUN device deleted while there is no peer ends it as well', async () => {
    const server = await serve()
    await hosts.server.ip('link', 'delete', 'zt0')
    await server.exitsWith(1)
    expect(server.stderr).toContain('ZP_TUN_GONE')
  })

  test('the TUN device set down and up again carries on', async () => {
    await serve()
    await dial()
    await hosts.client.ip('link', 'set', 'zt0', 'down')
    await hosts.server.run('ping', '-c', '3', '-i', '0.01', '-W', '0.2', INNER.client.ipv4).catch(() => undefined)
    await hosts.client.ip('link', 'set', 'zt0', 'up')
    expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
  })

  test(`a server listens within ${LISTENS_MS} ms of its start`, async () => {
    const times: number[] = []
    while (times.length < STARTS && Math.min(...times) >= LISTENS_MS) {
      const startedAt = performance.now()
      const server = await serve()
      times.push(performance.now() - startedAt - queuedMs(server.pid))
      await server.stop()
    }
    expect(Math.min(...times)).toBeLessThan(LISTENS_MS)
  })
})

/** How many ICMP echo requests this host has received since it exists (RFC 1213, icmpInEchos). */
async function echoesReceived(host: Namespace): Promise<number> {
  const snmp = await host.run('cat', '/proc/net/snmp')
  const [names = '', values = ''] = snmp.split('\n').filter((line) => line.startsWith('Icmp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('InEchos')])
}

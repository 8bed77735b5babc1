/*
 * `zportal bench`: a tunnel over a cable of 20 Mbit/s measured from either end, with nothing prepared at the other,
 * which listens for as long as that takes and no longer.
 *
 *     ┌─ server ─────────────┐      20 Mbit/s         ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══════ tunnel ═══════ │ zt0  10.10.0.2       │
 *     │      192.0.2.1:7000 ◄┼──────── veth ──────────┼─►  192.0.2.2         │
 *     └──────────────────────┘                        └──────────────────────┘
 */
import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import type { Namespace } from '../harness/namespace.js'
import type { Child } from '../harness/process.js'
import { innerOf, OUTER, PORT, twoHosts } from '../harness/topology.js'
import { event, up, zportal, zportald } from '../harness/zportal.js'

const RATE_BITS = 20e6

endToEnd('bench', (lab) => {
  let server: Namespace
  let client: Namespace
  beforeAll(async () => {
    ;({ server, client } = await twoHosts(lab))
    for (const host of [server, client]) {
      const shape = ['rate', String(RATE_BITS), 'burst', '32k', 'latency', '200ms']
      await host.run('tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', ...shape)
    }
  })
  const address = `${OUTER.server.ipv4}:${PORT}`
  const serve = (...more: string[]) => up(server, { addresses: innerOf('server', ['ipv4']), bind: address, more })
  const dial = (...more: string[]) => up(client, { addresses: innerOf('client', ['ipv4']), connect: address, more })
  const bench = (at: Namespace, ...args: string[]): Child => zportal(at, ['bench', ...args])
  /** What listens inside, TCP and UDP. */
  const listeners = async (at: Namespace) => (await at.run('ss', '-Hlntu')).split('\n').filter((line) => line !== '')

  test('measures throughput both ways and ping beside it, and leaves nothing listening', async () => {
    await serve()
    await dial()
    const before = await listeners(server)
    const measuring = bench(client, 'zt0', '--time', '1', '--json')
    await until('the other end to listen', 10_000, async () => (await listeners(server)).length === before.length + 2)
    const result = JSON.parse((await measuring.exitsWith(0)).stdout) as Record<string, unknown>
    expect(result).toMatchObject({
      version: 1,
      name: 'zt0',
      peer: address,
      seconds: 1,
      streams: 4,
      grade: expect.stringMatching(/^(A\+|[A-F])$/) as string,
    })
    for (const direction of ['download', 'upload']) {
      const { bitsPerSecond, pings, riseMs, streamRttMs } = result[direction] as Record<string, number> & {
        pings: { sent: number; received: number }
      }
      // Within a second a stream may get what it had sent before it.
      expect(bitsPerSecond).toBeGreaterThan(RATE_BITS / 2)
      expect(bitsPerSecond).toBeLessThan(RATE_BITS * 1.5)
      // About forty a second, and the link drops none of a sparse flow.
      expect(pings.sent).toBeGreaterThan(10)
      expect(pings.received).toBeGreaterThan(pings.sent / 2)
      expect(riseMs).toBeLessThan(200)
      expect(streamRttMs).toBeGreaterThan(0)
    }
    await until('nothing to listen', 10_000, async () => (await listeners(server)).length === before.length)
    expect(await listeners(client)).toEqual([])
  })

  test('from the end that listens: one at a time, broken off, begun again, and over when the peer is lost', async () => {
    await serve()
    const dialing = await dial()
    const broken = bench(server, '--time', '60')
    await until('the other end to listen', 10_000, async () => (await listeners(client)).length === 2)
    // One at a time.
    expect((await bench(server).exitsWith(1)).stderr).toMatch(/^ZP_BENCH: the peer takes part in another bench/)
    broken.signal('SIGKILL')
    await until('nothing to listen', 10_000, async () => (await listeners(client)).length === 0)

    const lost = bench(server, '--time', '60')
    await until('the other end to listen', 10_000, async () => (await listeners(client)).length === 2)
    await dialing.stop()
    expect((await lost.exitsWith(1)).stderr).toMatch(/^ZP_BENCH: /)
  })

  describe('is refused', () => {
    test('without a tunnel, before it is up, and for figures that are none', async () => {
      expect((await bench(server).exitsWith(4)).stderr).toMatch(/^ZP_NOT_RUNNING: /)
      await serve()
      expect((await bench(server, 'zt0').exitsWith(3)).stderr).toBe(
        'ZP_NOT_UP: there is nothing to measure: zt0 is listening\n',
      )
      expect((await bench(server, '--time', '0').exitsWith(2)).stderr).toBe(
        'ZP_OPTION: --time must be seconds from 1 to 60, got "0"\n',
      )
      expect((await bench(server, '--streams', 'many').exitsWith(2)).stderr).toMatch(/^ZP_OPTION: --streams must be/)
      const foreign = bench(client, '--socket', `/run/zportal/${server.inode}/zt0.sock`)
      expect((await foreign.exitsWith(3)).stderr).toMatch(/^ZP_NOT_UP: /)
    })

    test('by a peer that is not asked for it', async () => {
      await serve('--no-bench')
      await dial()
      expect((await bench(client).exitsWith(1)).stderr).toMatch(/^ZP_BENCH: the peer does not take part in benches/)
      const foreign = bench(client, '--socket', `/run/zportal/${server.inode}/zt0.sock`)
      expect((await foreign.exitsWith(2)).stderr).toMatch(/^ZP_OPTION: zt0 is in another network namespace/)
      expect(await listeners(client)).toEqual([])
    })

    test('by zportald, which has the flags of the original only', async () => {
      await zportald(server, { addresses: innerOf('server', ['ipv4']), bind: address })
      await dial()
      expect((await bench(client).exitsWith(1)).stderr).toMatch(/^ZP_BENCH: the peer does not take part in benches/)
    })

    test('where a peer has no words', async () => {
      const serving = await serve()
      // It is believed after a second, and never says anything.
      const silent = client.spawn([process.execPath, '-e', `net.connect(${PORT}, '${OUTER.server.ipv4}')`])
      await serving.line(event('up'))
      expect((await bench(server).exitsWith(1)).stderr).toMatch(/^ZP_BENCH: the peer has said nothing yet/)
      await silent.stop()
    })

    test('where a firewall stands inside', async () => {
      await serve()
      await dial()
      await server.run('nft', 'add table inet f; add chain inet f in { type filter hook input priority 0; }')
      await server.run('nft', 'add rule inet f in iifname zt0 tcp flags syn reject with tcp reset')
      const refused = await bench(client).exitsWith(1)
      expect(refused.stderr).toMatch(/^ZP_BENCH: no connection to 10\.10\.0\.1 through the tunnel: .*ECONNREFUSED/)
      await server.run('nft', 'delete table inet f')
    })
  })
})

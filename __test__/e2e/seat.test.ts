/*
 * A server has one seat: who gets it, who is turned away and how, and who keeps nobody out.
 *
 *     ┌─ server ─────────────┐          the test's own process
 *     │ zt0  10.10.0.1       │         ┌──────────────────────────────────┐
 *     │      fd00:10::1      │ ═══════ │ scripted peers and originals,    │
 *     │ zportal up           │  unix:… │ who speak, say nothing, come back │
 *     └──────────────────────┘         └──────────────────────────────────┘
 */
import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { closeReason, FLAG, helloPacket, parseHello } from '../harness/hello.js'
import type { Namespace } from '../harness/namespace.js'
import { Original } from '../harness/original.js'
import { ping } from '../harness/ping.js'
import { descriptors } from '../harness/proc.js'
import type { Child } from '../harness/process.js'
import { Scripted } from '../harness/scripted.js'
import { INNER, innerOf, PORT } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

const MTU_BYTES = 1400
const PEER = [INNER.client.ipv4, INNER.client.ipv6]
const ORIGINAL = { mtuBytes: MTU_BYTES, inner: PEER }
const BUSY = 5

/** The promises: an own return is served at once, and a squatter keeps nobody out for longer. */
const RETURN_MS = 1000
const SQUATTER_MS = 6000

endToEnd('the seat', (lab) => {
  let host: Namespace
  let path: string
  beforeAll(async () => {
    host = await lab.namespace('server')
    path = await lab.path('seat.sock')
  })

  const serve = (): Promise<Child> =>
    up(host, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind: `unix:${path}` })

  /** A ZPortal with a session id of its own. */
  async function client(id: number): Promise<Scripted> {
    const peer = await Scripted.dial(path, PEER)
    peer.send(helloPacket({ mtuBytes: MTU_BYTES }, Buffer.alloc(0), Buffer.alloc(16, id)))
    return peer
  }

  async function pingAsZPortal(): Promise<void> {
    await using peer = await client(1)
    await peer.ping(INNER.server.ipv4, RETURN_MS)
  }

  async function pingAsOriginal(): Promise<void> {
    await using peer = await Original.dial(path, ORIGINAL)
    await peer.ping(INNER.server.ipv4, { deadlineMs: RETURN_MS })
  }

  test("a peer's own return is served at once, though its old connection is open", async () => {
    const server = await serve()
    await using first = await client(1)
    await first.ping(INNER.server.ipv4)
    const lines = server.lines.length
    await using second = await client(1)
    await second.ping(INNER.server.ipv4, RETURN_MS)
    await first.isEnded(RETURN_MS)
    expect((await server.line(event('waiting'), { after: lines }))[0]).toContain('ZP_PEER_REPLACED')
    await server.line(event('up'), { after: lines })
    expect((await ping(host, INNER.client.ipv4)).received).toBe(10)
  })

  test('a stranger is refused with a word, and the peer does not notice', async () => {
    const server = await serve()
    await using peer = await client(1)
    await peer.ping(INNER.server.ipv4)
    const steady = ping(host, INNER.client.ipv4, { count: 100, intervalMs: 10 })
    for (let round = 0; round < 20; round += 1) {
      await using stranger = await client(2)
      await stranger.isEnded()
      expect(stranger.received.map(({ flags }) => flags)).toEqual([0, FLAG.control])
      const [hello, close] = stranger.received.map(({ payload }) => payload)
      expect(parseHello(hello ?? Buffer.alloc(0))).toMatchObject({ version: 1, mtuBytes: MTU_BYTES })
      expect(closeReason(close ?? Buffer.alloc(0))).toBe(BUSY)
    }
    expect(await steady).toMatchObject({ received: 100 })
    expect(server.lines.filter(({ text }) => event('waiting').test(text))).toEqual([])
  })

  test('an original as a stranger is closed, and sent nothing', async () => {
    await serve()
    await using peer = await client(1)
    await peer.ping(INNER.server.ipv4)
    await using stranger = await Original.dial(path, ORIGINAL)
    await expect(stranger.ping(INNER.server.ipv4)).rejects.toThrow()
    expect(stranger.received).toEqual([])
    await peer.ping(INNER.server.ipv4)
  })

  describe('a squatter that says nothing', () => {
    test('makes way at once for whoever speaks', async () => {
      await serve()
      for (const speak of [pingAsZPortal, pingAsOriginal]) {
        await using squatter = await Scripted.dial(path, PEER)
        // It sits when it gets our HELLO.
        await until('the seat is taken', 2000, () => squatter.received.length > 0)
        await speak()
        await squatter.isEnded(RETURN_MS)
      }
    })

    test(`keeps an original that says nothing either out for less than ${SQUATTER_MS / 1000} s`, async () => {
      await serve()
      await using squatter = await Scripted.dial(path, PEER)
      await until('the seat is taken', 2000, () => squatter.received.length > 0)
      const startedAt = performance.now()
      await using original = await Original.dial(path, ORIGINAL)
      await until('our HELLO to the original', SQUATTER_MS, () => original.received.length > 0)
      expect(performance.now() - startedAt).toBeLessThan(SQUATTER_MS)
      await squatter.isEnded(RETURN_MS)
      expect((await ping(host, INNER.client.ipv4)).received).toBe(10)
    })

    test('at a taken seat is sent away after five seconds, and leaves no descriptor', async () => {
      const server = await serve()
      await using peer = await client(1)
      await peer.ping(INNER.server.ipv4)
      const before = descriptors(server.pid).length
      const startedAt = performance.now()
      const squatters = await Promise.all(Array.from({ length: 20 }, () => Scripted.dial(path, PEER)))
      for (const squatter of squatters) await squatter.isEnded(SQUATTER_MS)
      expect(performance.now() - startedAt).toBeGreaterThan(4500)
      expect(squatters.flatMap(({ received }) => received)).toEqual([])
      await until('as many descriptors as before', 2000, () => descriptors(server.pid).length === before)
      await peer.ping(INNER.server.ipv4)
    })
  })

  test('an original that says nothing gets the free seat, and what is sent to it', async () => {
    const server = await serve()
    await using original = await Original.dial(path, ORIGINAL)
    await until('our HELLO', 2000, () => original.received.length > 0)
    await server.line(event('up'))
    expect((await ping(host, INNER.client.ipv4)).received).toBe(10)
  })

  test('somebody who has shown half a frame keeps nobody out', async () => {
    await serve()
    await using slow = await Scripted.dial(path, PEER)
    slow.sendBytes(Buffer.from('5a505254', 'hex'))
    await using peer = await client(1)
    await peer.ping(INNER.server.ipv4, RETURN_MS)
  })

  describe('who may come', () => {
    const dialOnce = (at: Namespace, connect: string): Child =>
      zportal(at, ['up', ...flags({ name: 'zt1', addresses: [], connect, more: ['--once'] })])

    test('from no other network than those that are allowed', async () => {
      const more = ['--allow', '127.0.0.2', '--allow', '127.1.0.0/16']
      const bind = `127.0.0.1:${PORT}`
      const server = await up(host, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind, more })
      const stranger = dialOnce(host, bind)
      await stranger.exitsWith(1)
      // Closed before a byte was read, so that it may be a reset.
      expect(stranger.stderr).toMatch(/^ZP_(PEER_CLOSED|LINK_LOST): /m)
      await server.line(/code=not-allowed/)
      expect(server.lines.filter(({ text }) => event('up').test(text))).toEqual([])
    })

    test('to an abstract socket: no other user', async () => {
      const bind = `unixa:${host.name}`
      const server = await up(host, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind })
      // Node would fill the name up with zeros, which makes it another one.
      const script = `
        socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or die $!;
        connect($socket, pack_sockaddr_un("\\0${host.name}")) or die $!;
        1 while sysread($socket, my $bytes, 4096);
        print "closed\\n"`
      const other = host.spawn(['setpriv', '--reuid=65534', '--clear-groups', 'perl', '-MSocket', '-e', script])
      await other.line(/closed/)
      await server.line(/code=not-allowed .*65534/)
      const own = dialOnce(host, bind)
      await own.line(event('up'))
      await own.stop()
    })
  })
})

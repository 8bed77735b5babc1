/*
 * With an original zportald at the other end, in both roles: a scripted one, which speaks as the
 * original does, and dies of what kills the original.
 *
 *     ┌─ server ─────────────┐          the test's own process
 *     │ zt0  10.10.0.1       │         ┌────────────────────────┐
 *     │      fd00:10::1      │ ═══════ │ 10.10.0.2  fd00:10::2  │   answers echo requests itself,
 *     │ zportal up           │  unix:… │ scripted original      │   without a TUN device
 *     └──────────────────────┘         └────────────────────────┘
 */
import { beforeAll, describe, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import type { Namespace } from '../harness/namespace.js'
import { Original, OriginalServer } from '../harness/original.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf } from '../harness/topology.js'
import { event, up } from '../harness/zportal.js'

const MTU_BYTES = 1400
/** The largest ICMP payload in one packet of that MTU. */
const WHOLE_BYTES = { ipv4: MTU_BYTES - 28, ipv6: MTU_BYTES - 48 }
const ORIGINAL = { mtuBytes: MTU_BYTES, inner: [INNER.client.ipv4, INNER.client.ipv6] }

endToEnd('an original at the other end', (lab) => {
  let host: Namespace
  let path: string
  beforeAll(async () => {
    host = await lab.namespace('server')
    path = await lab.path('original.sock')
  })

  /** A tunnel in the given role, and the original that it is connected with. */
  type Session = AsyncDisposable & { ours: Child; original: Original }
  const roles: Record<string, () => Promise<Session>> = {
    'an original client': async () => {
      const ours = await up(host, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind: `unix:${path}` })
      const original = await Original.dial(path, ORIGINAL)
      return { ours, original, [Symbol.asyncDispose]: () => original[Symbol.asyncDispose]() }
    },
    'an original server': async () => {
      const server = await OriginalServer.listen(path, ORIGINAL)
      const accepted = server.accept()
      const ours = await up(host, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), connect: `unix:${path}` })
      return { ours, original: await accepted, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
    },
  }

  describe.each(Object.entries(roles))('%s', (_name, start) => {
    test('is served from its side', async () => {
      await using session = await start()
      const { original } = session
      for (const family of ['ipv4', 'ipv6'] as const) {
        await original.ping(INNER.server[family])
        await original.ping(INNER.server[family], { sizeBytes: WHOLE_BYTES[family] })
      }
      expect(original.reason).toBeUndefined()
      expect(original.received.every(({ flags }) => flags === 0)).toBe(true)
    })

    test('is served from our side, also while it says nothing by itself', async () => {
      await using session = await start()
      for (const family of ['ipv4', 'ipv6'] as const) {
        const to = INNER.client[family]
        expect((await ping(host, to)).received).toBe(10)
        const large = { count: 2000, flood: true, whole: true, sizeBytes: WHOLE_BYTES[family] }
        expect(await ping(host, to, large)).toMatchObject({ sent: 2000, received: 2000 })
      }
      expect(session.original.reason).toBeUndefined()
    })

    test('is sent nothing that would kill it', async () => {
      await using session = await start()
      const { original } = session
      await original.ping(INNER.server.ipv4)
      // Fragments, and a TCP connection that nobody answers: whatever the kernel could make large.
      await host
        .run('ping', '-c', '20', '-i', '0.01', '-W', '0.1', '-s', '20000', INNER.client.ipv4)
        .catch(() => undefined)
      await host
        .run('ping', '-c', '20', '-i', '0.01', '-W', '0.1', '-s', '20000', INNER.client.ipv6)
        .catch(() => undefined)
      await original.ping(INNER.server.ipv4)
      expect(original.reason).toBeUndefined()
      expect(original.received.length).toBeGreaterThan(2 * 20 * 14)
      expect(original.received.filter(({ flags }) => flags !== 0)).toEqual([])
      expect(Math.max(...original.received.map(({ payload }) => payload.length))).toBeLessThanOrEqual(MTU_BYTES)
    })

    test('gets a HELLO first, which to its kernel is a packet to drop', async () => {
      await using session = await start()
      const { original } = session
      await original.ping(INNER.server.ipv4)
      const hello = original.received[0]?.payload ?? Buffer.alloc(0)
      expect(hello).toHaveLength(64)
      expect(hello.subarray(0, 1)).toEqual(Buffer.from([0x45]))
      expect(hello.subarray(8, 10)).toEqual(Buffer.from([1, 253])) // TTL 1, protocol 253
      expect(hello.subarray(12, 20)).toEqual(Buffer.from([127, 0, 0, 1, 127, 0, 0, 1]))
    })

    test('may send byte by byte', async () => {
      await using session = await start()
      const { original } = session
      await original.ping(INNER.server.ipv4)
      await original.ping(INNER.server.ipv4, { byteByByte: true })
      await original.ping(INNER.server.ipv6, { byteByByte: true })
      expect(original.reason).toBeUndefined()
    })

    test('ends, and we say why', async () => {
      await using session = await start()
      const { ours, original } = session
      await original.ping(INNER.server.ipv4)
      await original.close()
      expect((await ours.line(event('waiting')))[0]).toContain('ZP_PEER_CLOSED')
    })
  })

  test('an original client that says nothing for long is served when there is something to send', async () => {
    await using session = await (roles['an original client'] as () => Promise<Session>)()
    const { ours, original } = session
    await ours.line(event('up'), { deadlineMs: 5000 })
    expect(original.received.length).toBeLessThan(100)
    expect((await ping(host, INNER.client.ipv4)).received).toBe(10)
  })
})

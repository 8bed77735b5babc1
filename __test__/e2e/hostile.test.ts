/*
 * Strangers and liars: noise, frames that must be refused, frames cut short. None of it reaches the
 * TUN device, each ends its own link only, and the server goes on serving.
 *
 *     ┌─ server ─────────────┐               ┌─ client ───────────────┐
 *     │ zt0  10.10.0.1       │ ◄── noise ─── │ 100 strangers at once  │
 *     │                      │ ═══ tunnel ══ │ zt0  10.10.0.2         │
 *     │ eth0 192.0.2.1:7000  ├──── veth ─────┤ eth0 192.0.2.2         │
 *     │      unix:…  ◄───────┼───────────────┼── liars, scripted in the test's own process
 *     └──────────────────────┘               └────────────────────────┘
 */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { frame, HEADER_BYTES } from '../harness/frame.js'
import { echoPacket } from '../harness/icmp.js'
import { descriptors } from '../harness/proc.js'
import { Original } from '../harness/original.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { event, up } from '../harness/zportal.js'

const NOISE = fileURLToPath(new URL('../harness/inside/noise.mjs', import.meta.url))
const STRANGERS = 100
const NOISE_BYTES = 64 * 1024

const MTU_BYTES = 1400
const PEER = { mtuBytes: MTU_BYTES, inner: [INNER.client.ipv4, INNER.client.ipv6] }

/** A packet that an honest peer could send. */
const PACKET = echoPacket({
  ...{ kind: 'request', from: INNER.client.ipv4, to: INNER.server.ipv4 },
  ...{ id: 1, sequence: 1, data: Buffer.alloc(56, 'x') },
})

/** What a liar sends, and the code of the refusal. `cut`: the stream ends after the bytes. */
const LIES: Record<string, { bytes: Buffer; code: string; cut?: boolean }> = {
  'a wrong magic': { bytes: frame(PACKET, { magic: 0x5a505255 }), code: 'ZP_FRAME_MAGIC' },
  'size 0': { bytes: frame(Buffer.alloc(0)), code: 'ZP_FRAME_SIZE' },
  'a payload above the MTU': { bytes: frame(Buffer.alloc(MTU_BYTES + 1, 0x45)), code: 'ZP_FRAME_SIZE' },
  'the largest size there is': { bytes: frame(PACKET, { sizeBytes: 0xffffffff }), code: 'ZP_FRAME_SIZE' },
  'a wrong CRC32C': { bytes: frame(PACKET, { crc: 0x12345678 }), code: 'ZP_FRAME_CRC' },
  'the lowest flag that nobody knows': { bytes: frame(PACKET, { flags: 0x4 }), code: 'ZP_FRAME_FLAGS' },
  'the highest flag': { bytes: frame(PACKET, { flags: 0x80000000 }), code: 'ZP_FRAME_FLAGS' },
  'a header cut short': { bytes: frame(PACKET).subarray(0, 7), code: 'ZP_FRAME_CUT', cut: true },
  'a header and no payload': { bytes: frame(PACKET).subarray(0, HEADER_BYTES), code: 'ZP_FRAME_CUT', cut: true },
  'a payload cut short': { bytes: frame(PACKET).subarray(0, -1), code: 'ZP_FRAME_CUT', cut: true },
}

endToEnd('strangers and liars', (lab) => {
  let hosts: Pair
  let path: string
  beforeAll(async () => {
    hosts = await twoHosts(lab)
    path = await lab.path('liar.sock')
  })

  /** What the kernel has counted as coming out of the server's tunnel, accepted or not. */
  async function delivered(): Promise<number> {
    const { packets, errors, dropped } = (await hosts.server.counters('zt0')).received
    return packets + errors + dropped
  }

  describe(`${STRANGERS} connections of ${NOISE_BYTES / 1024} KiB noise`, () => {
    const bind = `${OUTER.server.ipv4}:${PORT}`
    const serve = (): Promise<Child> => up(hosts.server, { addresses: innerOf('server'), bind })
    const dial = (): Promise<Child> => up(hosts.client, { addresses: innerOf('client'), connect: bind })

    /** All of them were heard and sent away. The seed is in the failure's command line. */
    async function shout(): Promise<void> {
      const args = [OUTER.server.ipv4, PORT, STRANGERS, NOISE_BYTES, randomBytes(8).toString('hex')].map(String)
      const strangers = hosts.client.spawn([process.execPath, NOISE, ...args])
      await strangers.exitsWith(0, 30_000)
      expect(JSON.parse(strangers.stdout)).toEqual({ connected: STRANGERS, ended: STRANGERS })
    }

    test('put nothing on the TUN device and leave no file descriptor', async () => {
      const server = await serve()
      const before = descriptors(server.pid).length
      await shout()
      await until('as many descriptors as before', 2000, () => descriptors(server.pid).length === before)
      expect(await delivered()).toBe(0)
      expect(server.stderr).toContain('ZP_FRAME_MAGIC')
      expect(server.lines.length).toBeLessThan(STRANGERS / 2) // A flood floods no log.

      await dial()
      expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
    })

    test('do not disturb a peer that is connected', async () => {
      const server = await serve()
      await dial()
      await server.line(event('up'))
      const before = descriptors(server.pid).length
      const steady = ping(hosts.client, INNER.server.ipv4, { count: 300, intervalMs: 5 })
      await shout()
      expect(await steady).toMatchObject({ sent: 300, received: 300 })
      await until('as many descriptors as before', 2000, () => descriptors(server.pid).length === before)
    })
  })

  describe.each(Object.entries(LIES))('%s', (_name, { bytes, code, cut = false }) => {
    const serve = (): Promise<Child> =>
      up(hosts.server, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind: `unix:${path}` })

    async function lie(liar: Original): Promise<void> {
      liar.sendBytes(bytes)
      if (cut) await liar.close()
      expect(await liar.ended).toMatch(/^(closed|connection lost)/)
    }

    async function honestPeerIsServed(): Promise<void> {
      await using honest = await Original.dial(path, PEER)
      await honest.ping(INNER.server.ipv4)
    }

    test('as the first word: no peer, and the log has the code', async () => {
      const server = await serve()
      await using liar = await Original.dial(path, PEER)
      await lie(liar)
      await server.line(new RegExp(`\\b${code}\\b`))
      expect(await delivered()).toBe(0)
      await honestPeerIsServed()
      expect(server.lines.filter(({ text }) => event('waiting').test(text))).toHaveLength(0)
    })

    test('after honest frames: that link ends with the code, and the next is served', async () => {
      const server = await serve()
      await using liar = await Original.dial(path, PEER)
      await liar.ping(INNER.server.ipv4)
      const before = await delivered()
      await lie(liar)
      expect((await server.line(event('waiting')))[0]).toContain(code)
      expect(await delivered()).toBe(before)
      await honestPeerIsServed()
    })
  })

  test('a payload that is no IP packet is dropped, and the link lives', async () => {
    await up(hosts.server, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind: `unix:${path}` })
    await using peer = await Original.dial(path, PEER)
    await peer.ping(INNER.server.ipv4)
    for (const first of [0x00, 0x15, 0x55, 0x7f, 0xff]) peer.send(Buffer.alloc(64, first))
    peer.send(Buffer.of(0x45))
    await peer.ping(INNER.server.ipv4)
    await peer.ping(INNER.server.ipv6)
  })
})

/*
 * A peer that says HELLO otherwise than this version does: newer, late, twice, malformed, cut. What is unknown is
 * ignored, what is wrong ends that link only, and the next peer is served.
 *
 *     ┌─ host ───────────────┐          the test's own process
 *     │ zt0  10.10.0.1       │         ┌────────────────────────┐
 *     │      fd00:10::1      │ ═══════ │ 10.10.0.2  fd00:10::2  │   every frame is the test's
 *     │ the Node API, or     │  unix:… │ scripted peer          │
 *     │ zportal up           │         └────────────────────────┘
 *     └──────────────────────┘
 */
import { beforeAll, describe, expect, test } from 'vitest'

import { ApiProgram } from '../harness/api.js'
import { blindDatagrams, noise } from '../harness/datagrams.js'
import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { frame, HEADER_BYTES } from '../harness/frame.js'
import {
  closeMessage,
  FLAG,
  type Hello,
  helloPacket,
  parseHello,
  pingMessage,
  pongSequence,
  VNET_HEADER_BYTES,
} from '../harness/hello.js'
import { echoPacket, parseEcho } from '../harness/icmp.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import { Scripted, ScriptedServer } from '../harness/scripted.js'
import { vnetKind } from '../harness/tap.js'
import { INNER, innerOf } from '../harness/topology.js'
import { flags, up, zportal } from '../harness/zportal.js'

const MTU_BYTES = 1400
const PEER = [INNER.client.ipv4, INNER.client.ipv6]
const NOBODYS_PORT = 9

/** Kinds of control messages that version 1 does not know, the last with much behind it. */
const UNKNOWN_MESSAGES = [Buffer.of(0), Buffer.of(5), Buffer.of(0x41, 1, 2, 3), Buffer.alloc(60_000, 255)]

const AT = { version: 28, checksum: 10, length: 2 }

/** HELLOs that are not right, and a word of the sentence that says why. */
const MALFORMED: Record<string, { hello: Buffer; says: RegExp }> = {
  'version 0': { hello: helloPacket({ version: 0 }), says: /version 0/ },
  'an MTU below 68': { hello: helloPacket({ mtuBytes: 67 }), says: /MTU 67/ },
  'a largest payload below the MTU': { hello: helloPacket({ mtuBytes: 1400, maxPayloadBytes: 1399 }), says: /1399/ },
  'a wrong checksum': { hello: changed(AT.checksum, 0xff), says: /checksum/ },
  'a byte too few': { hello: helloPacket({}).subarray(0, -1), says: /63 bytes/ },
  'the tag and nothing more': { hello: helloPacket({}).subarray(0, AT.version), says: /28 bytes/ },
  'a byte more than it says': { hello: Buffer.concat([helloPacket({}), Buffer.of(0)]), says: /65 bytes/ },
}

const WHOLE = frame(helloPacket({ mtuBytes: MTU_BYTES }))
/** Bytes of the frame after which the stream ends. */
const CUTS = [1, 4, 8, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, HEADER_BYTES + 28, WHOLE.length - 1]

endToEnd('HELLO', (lab) => {
  let host: Namespace
  let path: string
  beforeAll(async () => {
    host = await lab.namespace('host')
    path = await lab.path('peer.sock')
  })

  /** A tunnel of the API with the scripted peer at its other end, which has sent `first`. */
  interface Session extends AsyncDisposable {
    ours: ApiProgram
    peer: Scripted
    role: 'server' | 'client'
  }
  const options = { name: 'zt0', mtu: MTU_BYTES, addresses: innerOf('server') }
  const starts = {
    server: async (first: Buffer): Promise<Session> => {
      const ours = new ApiProgram(host)
      await ours.order('open', { key: 0, options: { ...options, bind: `unix:${path}` } })
      const peer = await Scripted.dial(path, PEER)
      peer.sendBytes(first)
      return { ours, peer, role: 'server', [Symbol.asyncDispose]: () => end(ours, peer) }
    },
    client: async (first: Buffer): Promise<Session> => {
      const listening = await ScriptedServer.listen(path, PEER)
      const accepted = listening.accept()
      const ours = new ApiProgram(host)
      await ours.order('open', { key: 0, options: { ...options, connect: `unix:${path}`, once: true } })
      const peer = await accepted
      peer.sendBytes(first)
      return { ours, peer, role: 'client', [Symbol.asyncDispose]: () => end(ours, listening) }
    },
  }

  /** A program that is killed leaves its socket file, so the tunnel is closed first. */
  async function end(ours: ApiProgram, theirs: AsyncDisposable): Promise<void> {
    await ours.order('close', { key: 0 })
    await theirs[Symbol.asyncDispose]()
  }

  async function speech({ ours }: Session): Promise<string> {
    return ((await ours.order('whenUp', { key: 0 })) as { speech: string }).speech
  }

  async function stats({ ours }: Session): Promise<Record<string, number>> {
    return (await ours.order('stats', { key: 0 })) as Record<string, number>
  }

  /** What the kernel took out of the tunnel since the device exists. */
  async function delivered(): Promise<number> {
    return (await host.counters('zt0')).received.packets
  }

  /** The link ends on our side: a client closes with the reason, a server waits for the next peer. */
  async function ends({ ours, peer, role }: Session, code: string, says = /./): Promise<void> {
    await peer.isEnded()
    if (role === 'client') expect(await ours.order('closed', { key: 0 })).toMatchObject({ code, message: says })
    else await until('the state waiting', 5000, async () => (await ours.order('state', { key: 0 })) === 'waiting')
  }

  /** How a burst of equal datagrams reaches the peer: as kinds of frames, and plain ones as `plain`. */
  async function burst({ peer }: Session): Promise<Set<string>> {
    const before = peer.received.length
    const to = { address: INNER.client.ipv4, port: NOBODYS_PORT }
    await blindDatagrams(host, to, { plan: '40x1000', payload: noise(39_680, 'burst') })
    await peer.ping(INNER.server.ipv4)
    const frames = peer.received.slice(before).filter(({ payload }) => parseEcho(payload) === undefined)
    const packets = frames.filter(({ flags }) => (flags & FLAG.control) === 0)
    return new Set(packets.map(({ flags, payload }) => (flags === FLAG.vnet ? vnetKind(payload) : 'plain')))
  }

  describe.each(Object.entries(starts))('to our %s', (_role, start) => {
    test('of a newer version: what we do not know is ignored, and counted', async () => {
      const more: Partial<Hello> = { version: 2, mtuBytes: MTU_BYTES, features: 0xffffffff }
      await using session = await start(frame(helloPacket(more, Buffer.from('more'))))
      const { peer } = session
      expect(await speech(session)).toBe('v1 VNET+TSO4+TSO6+USO4+USO6+TSO_ECN+PING')

      for (const message of UNKNOWN_MESSAGES) peer.send(message, FLAG.control)
      peer.send(pingMessage(77, Buffer.from('what a later version adds')), FLAG.control)
      await peer.ping(INNER.server.ipv4)
      await peer.ping(INNER.server.ipv6)
      expect(await stats(session)).toMatchObject({ unknownControls: UNKNOWN_MESSAGES.length, dropsTun: 0 })
      const pongs = peer.received
        .filter(({ flags }) => flags === FLAG.control)
        .map(({ payload }) => pongSequence(payload))
      expect(pongs).toContain(77)
      expect(await burst(session)).toEqual(new Set(['udp4']))
      expect((await ping(host, INNER.client.ipv6)).received).toBe(10)

      peer.send(closeMessage(99, 'a reason of tomorrow'), FLAG.control)
      await ends(session, 'ZP_PEER_CLOSED', /a reason of tomorrow/)
    })

    test('with a virtio_net_hdr whose contents this version does not know: dropped, counted, and the session lives', async () => {
      await using session = await start(frame(helloPacket({ mtuBytes: MTU_BYTES })))
      const { peer } = session
      await peer.ping(INNER.server.ipv4)
      const before = await delivered()
      const addresses = { from: INNER.client.ipv4, to: INNER.server.ipv4 }
      const packet = echoPacket({ kind: 'request', ...addresses, id: 1, sequence: 1, data: Buffer.alloc(56) })
      for (const [at, value] of [
        [0, 0x80], // a flag
        [1, 3], // UFO
        [1, 0x7f], // a type
      ] as const) {
        const header = Buffer.alloc(VNET_HEADER_BYTES)
        header[at] = value
        peer.send(Buffer.concat([header, packet]), FLAG.vnet)
      }
      await peer.ping(INNER.server.ipv4)
      expect(await stats(session)).toMatchObject({ dropsHeader: 3 })
      expect(await delivered()).toBe(before + 1)
    })

    test('late: the peer is an original, and stays one', async () => {
      const addresses = { from: INNER.client.ipv4, to: INNER.server.ipv4 }
      const first = echoPacket({ kind: 'request', ...addresses, id: 1, sequence: 1, data: Buffer.alloc(56) })
      await using session = await start(frame(first))
      const { peer } = session
      expect(await speech(session)).toBe('original')
      await peer.ping(INNER.server.ipv4)
      const before = await delivered()
      peer.send(helloPacket({ mtuBytes: MTU_BYTES }))
      await peer.ping(INNER.server.ipv4)
      expect(await delivered()).toBe(before + 2) // The HELLO too: it is a packet, and the kernel's to drop.
      expect(await burst(session)).toEqual(new Set(['plain']))
      expect(peer.received.filter(({ flags }) => flags !== 0)).toEqual([])

      // An original knows no flags, so one that comes from it is damage.
      peer.send(pingMessage(1), FLAG.control)
      await ends(session, 'ZP_FRAME_FLAGS')
    })

    test('twice: the second is a packet, and changes nothing', async () => {
      await using session = await start(frame(helloPacket({ mtuBytes: MTU_BYTES })))
      const { peer } = session
      await peer.ping(INNER.server.ipv4)
      const before = await delivered()
      peer.send(helloPacket({ mtuBytes: 68, features: 0, maxPayloadBytes: 68 }))
      await peer.ping(INNER.server.ipv4)
      expect(await delivered()).toBe(before + 2)
      expect(await burst(session)).toEqual(new Set(['udp4']))
    })

    test('and then a PING cut short: the link ends, for its sender is defective', async () => {
      await using session = await start(frame(helloPacket({ mtuBytes: MTU_BYTES })))
      const { peer } = session
      await peer.ping(INNER.server.ipv4)
      peer.send(pingMessage(1).subarray(0, -1), FLAG.control)
      await ends(session, 'ZP_MESSAGE')
    })

    test('before which we said ours, whatever the peer is', async () => {
      await using session = await start(Buffer.alloc(0))
      const { peer } = session
      await until('our HELLO', 5000, () => peer.received.length > 0)
      const ours = { version: 1, mtuBytes: MTU_BYTES, features: 0x7f, maxPayloadBytes: 65_546 }
      expect(parseHello(peer.received[0]?.payload ?? Buffer.alloc(0))).toEqual(ours)
      expect(peer.received[0]?.flags).toBe(0)
    })
  })

  describe.each(Object.entries(MALFORMED))('with %s', (_name, { hello, says }) => {
    test('ends the dial of our client', async () => {
      await using session = await starts.client(frame(hello))
      await ends(session, 'ZP_MESSAGE', says)
    })

    test('is refused by our server, and an honest peer is served', async () => {
      const server = await up(host, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind: `unix:${path}` })
      await using liar = await Scripted.dial(path, PEER)
      liar.send(hello)
      await liar.isEnded()
      const [line] = await server.line(/.*code=ZP_MESSAGE.*/)
      expect(line).toMatch(says)
      expect(await delivered()).toBe(0)
      await using honest = await Scripted.dial(path, PEER)
      honest.send(helloPacket({ mtuBytes: MTU_BYTES }))
      await honest.ping(INNER.server.ipv4)
    })
  })

  test.each(CUTS)('cut after %i bytes ends the dial of our client', async (bytes) => {
    await using listening = await ScriptedServer.listen(path, PEER)
    const accepted = listening.accept()
    const end = { mtuBytes: MTU_BYTES, addresses: innerOf('server'), connect: `unix:${path}`, more: ['--once'] }
    const client = zportal(host, ['up', ...flags(end)])
    const peer = await accepted
    peer.sendBytes(WHOLE.subarray(0, bytes))
    await peer.close()
    await client.exitsWith(1)
    expect(client.stderr).toMatch(/^ZP_FRAME_CUT: /m)
  })

  test('cut anywhere is refused by our server, which then serves an honest peer', async () => {
    await using first = await starts.server(WHOLE.subarray(0, 1))
    await first.peer.close()
    for (let bytes = 2; bytes < WHOLE.length; bytes += 1) {
      const peer = await Scripted.dial(path, PEER)
      peer.sendBytes(WHOLE.subarray(0, bytes))
      await peer.close()
    }
    await until('a refusal of each', 5000, async () => (await stats(first))['peersRefused'] === WHOLE.length - 1)
    expect(await delivered()).toBe(0)
    await using honest = await Scripted.dial(path, PEER)
    honest.sendBytes(WHOLE)
    await honest.ping(INNER.server.ipv4)
    expect(await stats(first)).toMatchObject({ peersAccepted: 1 })
  })
})

/** A HELLO with one byte that is not right, and everything else as it was. */
function changed(at: number, byte: number): Buffer {
  const hello = helloPacket({})
  hello[at] = (hello[at] ?? 0) ^ byte
  return hello
}

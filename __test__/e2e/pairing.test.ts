/*
 * Who is paired with whom decides what is on the wire: two new ends use what both can, a new end and an original speak
 * plain frames, and one peer leaves nothing behind for the next.
 *
 *     ┌─ server ─────────────┐             the test's own process             ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │         ┌───────────────────────────┐          │ zt0  10.10.0.2       │
 *     │      fd00:10::1      │ ═══════ │ a tap: notes every frame, │ ════════ │      fd00:10::2      │
 *     │ zportal up           │  unix:… │ may change or swallow     │  unix:…  │ zportal up           │
 *     └──────────────────────┘         │ the first of each side    │          └──────────────────────┘
 *                │                     ├───────────────────────────┤
 *                └──────────────────── │ or a scripted peer        │
 *                              unix:…  └───────────────────────────┘
 */
import { beforeAll, describe, expect, test } from 'vitest'

import { blindDatagrams, burstsOf, datagrams, noise } from '../harness/datagrams.js'
import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { FEATURE, FLAG, helloPacket, parseHello, VERSION_1_FEATURES, withFeatures } from '../harness/hello.js'
import { echoPacket } from '../harness/icmp.js'
import type { Namespace } from '../harness/namespace.js'
import { Original, OriginalServer } from '../harness/original.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { Scripted } from '../harness/scripted.js'
import { type ChangeFirst, Tap, vnetKind } from '../harness/tap.js'
import { type Family, INNER, innerOf, type Pair, type Role } from '../harness/topology.js'
import { transfer } from '../harness/transfer.js'
import { parseDatagram } from '../harness/udp.js'
import { event, up } from '../harness/zportal.js'

const MTU_BYTES = 1400
const TCP_BYTES = 2 * 1024 * 1024
const UDP_BYTES = 512 * 1024
const FAMILIES: Family[] = ['ipv4', 'ipv6']
const DIRECTIONS = [
  ['client', 'server'],
  ['server', 'client'],
] as const
/** Bursts that fit in a packet of either family. */
const PLAN = burstsOf(MTU_BYTES - 48)
/** Where datagrams for a scripted peer go; its kernel, if it had one, would have nobody there. */
const NOBODYS_PORT = 9
const PEER = [INNER.client.ipv4, INNER.client.ipv6]

const ECHO_REQUEST = { kind: 'request', from: INNER.client.ipv4, to: INNER.server.ipv4 } as const

const { vnet, tso4, tso6, uso4, uso6, ping: answersPing } = FEATURE
const ALL_SPEECH = 'v1 VNET+TSO4+TSO6+USO4+USO6+TSO_ECN+PING'

/** Two new ends; `features` is what each hears of the other instead of all. */
interface Pairing {
  more?: Partial<Record<Role, string[]>>
  features?: number
  speech: string
  /** What is seen in frames with a virtio_net_hdr. */
  kinds: string[]
}

const PAIRINGS: Record<string, Pairing> = {
  'two new ends': { speech: ALL_SPEECH, kinds: ['part', 'tcp4', 'tcp6', 'udp4', 'udp6'] },
  '--no-offload at the server': { more: { server: ['--no-offload'] }, speech: 'v1 PING', kinds: [] },
  '--no-offload at the client': { more: { client: ['--no-offload'] }, speech: 'v1 PING', kinds: [] },
  'nothing in common': { features: 0, speech: 'v1 none', kinds: [] },
  'partial checksums only': { features: vnet | answersPing, speech: 'v1 VNET+PING', kinds: ['part'] },
  'TCP over IPv4 only': { features: vnet | tso4, speech: 'v1 VNET+TSO4', kinds: ['part', 'tcp4'] },
  'TCP over IPv6 only': { features: vnet | tso6, speech: 'v1 VNET+TSO6', kinds: ['part', 'tcp6'] },
  'UDP over IPv4 only': { features: vnet | uso4, speech: 'v1 VNET+USO4', kinds: ['part', 'udp4'] },
  'UDP over IPv6 only': { features: vnet | uso6, speech: 'v1 VNET+USO6', kinds: ['part', 'udp6'] },
  'super-packets without the header that says so': {
    features: VERSION_1_FEATURES & ~vnet,
    speech: 'v1 PING',
    kinds: [],
  },
}

endToEnd('pairings', (lab) => {
  let hosts: Pair
  let paths: { server: string; tap: string; original: string }
  beforeAll(async () => {
    hosts = { server: await lab.namespace('server'), client: await lab.namespace('client') }
    paths = {
      server: await lab.path('server.sock'),
      tap: await lab.path('tap.sock'),
      original: await lab.path('original.sock'),
    }
  })

  const serve = (more: string[] = []): Promise<Child> =>
    up(hosts.server, { mtuBytes: MTU_BYTES, addresses: innerOf('server'), bind: `unix:${paths.server}`, more })
  const dial = (path: string, more: string[] = []): Promise<Child> =>
    up(hosts.client, { mtuBytes: MTU_BYTES, addresses: innerOf('client'), connect: `unix:${path}`, more })

  /** TCP and bursts of datagrams, both families, both directions: all arrive as they were sent. */
  async function carryEverything(): Promise<void> {
    for (const family of FAMILIES) {
      await Promise.all(
        DIRECTIONS.map(async ([from, to]) => {
          const there = { namespace: hosts[to], address: INNER[to][family] }
          const tcp = await transfer(hosts[from], there, { bytes: TCP_BYTES, seed: from })
          expect(tcp.received, `TCP over ${family} from the ${from}`).toEqual(tcp.sent)
          const udp = await datagrams(hosts[from], there, {
            how: 'segmented',
            plan: PLAN,
            bytes: UDP_BYTES,
            seed: from,
          })
          expect(udp.received, `UDP over ${family} from the ${from}`).toEqual(udp.sent)
        }),
      )
    }
  }

  test.each(Object.entries(PAIRINGS))('%s', async (_name, { more = {}, features, speech, kinds }) => {
    const server = await serve(more.server)
    const heard: Buffer[] = []
    const changeHello: ChangeFirst = (hello) => {
      heard.push(hello)
      return features === undefined ? hello : withFeatures(hello, features)
    }
    await using tap = await Tap.between(paths.tap, paths.server, changeHello)
    const client = await dial(paths.tap, more.client)
    for (const end of [server, client]) {
      const [line] = await end.line(event('up'))
      expect(line).toMatch(new RegExp(`speech=("${speech.replaceAll('+', '\\+')}"|${speech})( |$)`))
    }
    for (const role of ['client', 'server'] as const) {
      const announced = more[role] ? answersPing : VERSION_1_FEATURES
      const hello = { version: 1, mtuBytes: MTU_BYTES, features: announced, maxPayloadBytes: 65_546 }
      expect(heard.map(parseHello)).toContainEqual(hello)
    }

    await carryEverything()
    for (const frames of [tap.fromClient, tap.fromServer]) {
      expect(frames[0]).toMatchObject({ flags: 0, payloadBytes: 64 })
      const seen = new Set(frames.flatMap(({ kind }) => kind ?? []))
      expect([...seen].sort()).toEqual(kinds)
      const others = frames.filter(({ kind }) => kind === undefined || kind === 'part')
      expect(Math.max(...others.map(({ payloadBytes }) => payloadBytes))).toBeLessThanOrEqual(MTU_BYTES + 10)
      // A super-packet is one: more than a packet of the MTU, and never above what may be.
      const superPackets = frames.filter(({ kind }) => kind !== undefined && kind !== 'part')
      const largest = Math.max(0, ...superPackets.map(({ payloadBytes }) => payloadBytes))
      expect(largest > MTU_BYTES).toBe(superPackets.length > 0)
      expect(largest).toBeLessThanOrEqual(65_546)
    }
  })

  test('two ends that each take the other for an original', async () => {
    const server = await serve()
    await using tap = await Tap.between(paths.tap, paths.server, () => undefined)
    const client = await dial(paths.tap)
    for (const end of [server, client]) {
      // Up after a second of silence, or with the first packet, whichever comes first.
      const [line] = await end.line(event('up'))
      expect(line).toMatch(/speech=(silent|original)( |$)/)
    }
    await carryEverything()
    expect(tap.passed.filter(({ flags }) => flags !== 0)).toEqual([])
    expect(Math.max(...tap.passed.map(({ payloadBytes }) => payloadBytes))).toBe(MTU_BYTES)
  })

  describe('with an original', () => {
    const ORIGINAL = { mtuBytes: MTU_BYTES, inner: PEER }
    /** Either role: what an original gets of the bursts that a program on our host sends. */
    const roles: Record<string, () => Promise<{ original: Original; our: Namespace } & AsyncDisposable>> = {
      'in the role of the client': async () => {
        await serve()
        const original = await Original.dial(paths.server, ORIGINAL)
        return { original, our: hosts.server, [Symbol.asyncDispose]: () => original[Symbol.asyncDispose]() }
      },
      'in the role of the server': async () => {
        const listening = await OriginalServer.listen(paths.original, ORIGINAL)
        const accepted = listening.accept()
        await up(hosts.server, {
          ...{ mtuBytes: MTU_BYTES, addresses: innerOf('server') },
          connect: `unix:${paths.original}`,
        })
        const original = await accepted
        return { original, our: hosts.server, [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose]() }
      },
    }

    test.each(Object.entries(roles))(
      '%s: bursts reach it as datagrams that its kernel would take',
      async (_name, start) => {
        await using session = await start()
        const { original, our } = session
        await original.ping(INNER.server.ipv4)
        for (const family of FAMILIES) {
          const payload = noise(UDP_BYTES / 8, family)
          const before = original.received.length
          await blindDatagrams(our, { address: INNER.client[family], port: NOBODYS_PORT }, { plan: PLAN, payload })
          const frames = () => original.received.slice(before)
          const arrived = () =>
            frames()
              .flatMap(({ payload }) => parseDatagram(payload) ?? [])
              .filter(({ port }) => port === NOBODYS_PORT)
          const taken = () => Buffer.concat(arrived().map(({ payload }) => payload.subarray(8)))
          // No answer to a ping tells that: it overtakes what waits in the queue.
          await until('all datagrams are there', 5000, () => {
            expect(original.reason).toBeUndefined()
            return taken().length >= payload.length
          })
          expect(frames().filter(({ flags }) => flags !== 0)).toEqual([])
          expect(arrived().filter(({ isRight }) => !isRight)).toEqual([])
          expect(taken().equals(payload)).toBe(true)
        }
      },
    )
  })

  test('one peer after another, while bursts never stop: an original never gets what the new peer before it got', async () => {
    const server = await serve()
    let done = false
    const burst = async (): Promise<void> => {
      const payload = noise(16 * 1024 * 1024, 'flood')
      const to = { address: INNER.client.ipv4, port: NOBODYS_PORT }
      while (!done) await blindDatagrams(hosts.server, to, { plan: PLAN, payload })
    }
    const flooding = burst()
    try {
      for (let round = 0; round < 4; round += 1) {
        let lines = server.lines.length
        await using newer = await Scripted.dial(paths.server, PEER)
        newer.send(helloPacket({ mtuBytes: MTU_BYTES }))
        await until('super-packets at the new peer', 10_000, () =>
          newer.received.some(({ flags, payload }) => flags === FLAG.vnet && vnetKind(payload) === 'udp4'),
        )
        await newer.close()
        await server.line(event('waiting'), { after: lines })

        lines = server.lines.length
        await using original = await Original.dial(paths.server, { mtuBytes: MTU_BYTES, inner: PEER })
        // Half of them say nothing, and get the same. Whether an answer finds room among the bursts is nobody's promise.
        const speaks = round % 2 === 1
        if (speaks) {
          original.send(echoPacket({ ...ECHO_REQUEST, id: 1, sequence: round, data: Buffer.alloc(56) }))
        }
        await until('packets at the original', 10_000, () => {
          expect(original.reason).toBeUndefined()
          return original.received.length > 2000
        })
        expect(original.received.filter(({ flags }) => flags !== 0)).toEqual([])
        const arrived = original.received.flatMap(({ payload }) => parseDatagram(payload) ?? [])
        expect(arrived.length).toBeGreaterThan(1000)
        expect(arrived.filter(({ isRight }) => !isRight)).toEqual([])
        await original.close()
        // Who leaves within a second and without a word was no peer, and nothing is said of its end.
        if (speaks) await server.line(event('waiting'), { after: lines })
      }
    } finally {
      done = true
      await flooding
    }
    // And the tunnel is as good as new.
    await dial(paths.server)
    expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
    await carryEverything()
  })
})

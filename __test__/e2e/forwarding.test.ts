/*
 * Traffic of a host that knows nothing of the tunnel, whose packets the client's kernel forwards: as super-packets
 * with checksums still to be filled in, as single packets whose checksums are complete, or as what GRO has made of
 * such packets. They come out at the server as they were sent, and what comes back leaves the client's kernel with
 * segments and checksums that the host finds right. So too where the peer takes plain frames only.
 *
 *     ┌─ third ────────────┐        ┌─ client, forwards ───┐          ┌─ server ─────────────┐
 *     │                    │        │ zt0  10.10.0.2       │ ═tunnel═ │ zt0  10.10.0.1       │
 *     │                    │        │      fd00:10::2      │          │      fd00:10::1      │
 *     │ eth0 198.51.100.2  ├─ veth ─┤ eth1 198.51.100.1    │          │                      │
 *     │      fd00:51::2    │        │      fd00:51::1      │          │                      │
 *     └────────────────────┘        │ eth0 192.0.2.2       ├── veth ──┤ eth0 192.0.2.1       │
 *                                   └──────────────────────┘          └──────────────────────┘
 */
import { beforeAll, expect, test } from 'vitest'

import { ApiProgram } from '../harness/api.js'
import { burstsOf, datagrams, type How, largestDatagramBytes } from '../harness/datagrams.js'
import { endToEnd } from '../harness/end-to-end.js'
import { setFeatures } from '../harness/features.js'
import { join, type Namespace } from '../harness/namespace.js'
import { type Family, INNER, innerOf, OUTER, type Pair, PORT, type Role, twoHosts } from '../harness/topology.js'
import { transfer } from '../harness/transfer.js'

const SERVER = `${OUTER.server.ipv4}:${PORT}`
const MTU_BYTES = 1400
const TCP_BYTES = 8 * 1024 * 1024
const UDP_BYTES = 4 * 1024 * 1024

const FAMILIES: Family[] = ['ipv4', 'ipv6']
const HOWS: How[] = ['segmented', 'single']

/** The cable behind the client. */
const BEHIND = {
  third: { ipv4: '198.51.100.2', ipv6: 'fd00:51::2' },
  client: { ipv4: '198.51.100.1', ipv6: 'fd00:51::1' },
} as const
const PREFIXES = { ipv4: '198.51.100.0/24', ipv6: 'fd00:51::/64' } as const

/** Packets in a frame, at least, where the client's kernel hands over super-packets. */
const PACKETS_A_FRAME = 5

/** What the two ends of the cable behind the client leave to the other. */
interface Cable {
  features: Record<string, boolean>
  /** An end that takes plain frames only. */
  plain?: Role
  /** Whether the client's kernel has super-packets to hand over, of TCP and of datagrams sent in bursts. */
  superPackets: { tcp: boolean; udp: boolean }
}

/** Segmentation and checksums are left to the other end: what veth does unless it is told otherwise. */
const LEFT: Record<string, boolean> = {
  'tx-checksum-ip-generic': true,
  ...{ 'tx-tcp-segmentation': true, 'tx-tcp6-segmentation': true, 'tx-udp-segmentation': true },
  ...{ 'tx-generic-segmentation': true, 'rx-gro': false, 'rx-udp-gro-forwarding': false },
}
/** Each end computes every checksum itself, and so must cut super-packets before they leave it. */
const OWN_CHECKSUMS = {
  ...LEFT,
  'tx-checksum-ip-generic': false,
  ...{ 'tx-tcp-segmentation': false, 'tx-tcp6-segmentation': false, 'tx-udp-segmentation': false },
}
/** And GRO finds every checksum right, also of a packet that it merges with no other. */
const MERGED = { ...OWN_CHECKSUMS, 'rx-gro': true, 'rx-udp-gro-forwarding': true }

const CABLES: Record<string, Cable> = {
  'super-packets with partial checksums': { features: LEFT, superPackets: { tcp: true, udp: true } },
  'single packets with full checksums': {
    features: { ...OWN_CHECKSUMS, 'tx-generic-segmentation': false },
    superPackets: { tcp: false, udp: false },
  },
  'packets with full checksums, merged by GRO': {
    features: MERGED,
    superPackets: { tcp: true, udp: true },
  },
  'packets that GRO has verified, to a peer that takes plain frames only': {
    features: MERGED,
    plain: 'server',
    superPackets: { tcp: false, udp: false },
  },
  'packets that GRO has verified, from an end that sends plain frames only': {
    features: MERGED,
    plain: 'client',
    superPackets: { tcp: false, udp: false },
  },
}

endToEnd('traffic forwarded through the tunnel', (lab) => {
  let hosts: Pair
  let third: Namespace
  beforeAll(async () => {
    hosts = await twoHosts(lab)
    third = await lab.namespace('third')
    await join(
      { namespace: third, device: 'eth0', addresses: [`${BEHIND.third.ipv4}/24`, `${BEHIND.third.ipv6}/64`] },
      { namespace: hosts.client, device: 'eth1', addresses: [`${BEHIND.client.ipv4}/24`, `${BEHIND.client.ipv6}/64`] },
    )
    for (const family of FAMILIES) await third.ip('route', 'add', 'default', 'via', BEHIND.client[family])
    await hosts.client.run(
      ...['sh', '-c', 'echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding'],
    )
  })

  test.each(Object.entries(CABLES))('%s', async (_name, { features, plain, superPackets }) => {
    await setFeatures(third, 'eth0', features)
    await setFeatures(hosts.client, 'eth1', features)
    const ends = await open(plain)
    for (const family of FAMILIES) {
      await hosts.server.ip('route', 'replace', PREFIXES[family], 'via', INNER.client[family])
      const inside = { namespace: hosts.server, address: INNER.server[family] }
      const outside = { namespace: third, address: BEHIND.third[family] }
      const ways = [
        { from: third, to: inside, sender: 'client' },
        { from: hosts.server, to: outside, sender: 'server' },
      ] as const
      for (const { from, to, sender } of ways) {
        const title = `${family}, out of the tunnel at the ${sender === 'client' ? 'server' : 'client'}`
        // The server's own kernel has super-packets whatever the cable at the client is, if both ends take them.
        const expected = sender === 'client' ? superPackets : { tcp: !plain, udp: !plain }

        const before = await sent(ends[sender])
        const tcp = await transfer(from, to, { bytes: TCP_BYTES, seed: sender })
        expect(tcp.received, `TCP over ${title}`).toEqual(tcp.sent)
        expect(tcp.received.bytes).toBe(TCP_BYTES)
        const between = await sent(ends[sender])
        expectPacketsAFrame(`TCP over ${title}`, before, between, expected.tcp)

        for (const how of HOWS) {
          const plan = burstsOf(largestDatagramBytes(MTU_BYTES, family))
          const before = await sent(ends[sender])
          const udp = await datagrams(from, to, { how, plan, bytes: UDP_BYTES, seed: sender })
          expect(udp.received, `UDP over ${title}, ${how}`).toEqual(udp.sent)
          expect(udp.received.bytes).toBe(UDP_BYTES)
          // Whether single datagrams meet on their way is a matter of luck.
          if (how === 'segmented') {
            expectPacketsAFrame(`UDP over ${title}`, before, await sent(ends[sender]), expected.udp)
          }
        }
      }
    }
    expect((await hosts.client.counters('zt0')).received).toMatchObject({ errors: 0, dropped: 0 })
    expect((await hosts.server.counters('zt0')).received).toMatchObject({ errors: 0, dropped: 0 })
  })

  interface Sent {
    txPackets: number
    txFrames: number
  }

  async function sent(end: ApiProgram): Promise<Sent> {
    return (await end.order('stats', { key: 0 })) as Sent
  }

  /** Several packets a frame, or one: the proof that the cable is what the test calls it. */
  function expectPacketsAFrame(title: string, before: Sent, after: Sent, many: boolean): void {
    const [packets, frames] = [after.txPackets - before.txPackets, after.txFrames - before.txFrames]
    if (many) expect(packets / frames, `packets a frame, ${title}`).toBeGreaterThan(PACKETS_A_FRAME)
    else expect(frames, `frames for ${packets} packets, ${title}`).toBeGreaterThanOrEqual(packets)
  }

  async function open(plain?: Role): Promise<Record<Role, ApiProgram>> {
    const ends = { server: new ApiProgram(hosts.server), client: new ApiProgram(hosts.client) }
    const common = (role: Role) => ({ name: 'zt0', mtu: MTU_BYTES, addresses: innerOf(role), offload: role !== plain })
    await ends.server.order('open', { key: 0, options: { ...common('server'), bind: SERVER } })
    await ends.client.order('open', { key: 0, options: { ...common('client'), connect: SERVER } })
    for (const end of Object.values(ends)) await end.order('whenUp', { key: 0 })
    return ends
  }
})

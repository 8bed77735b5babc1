/*
 * What goes through the tunnel in pieces of 64 KiB comes out as it went in: TCP, UDP, and UDP in bursts
 * (UDP_SEGMENT), in both directions at once, with every size of packet at either end. And it does go in
 * such pieces, on one thread, in little memory.
 *
 *     ┌─ server ─────────────┐          ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═tunnel═ │ zt0  10.10.0.2       │
 *     │      fd00:10::1      │          │      fd00:10::2      │
 *     │      MTU 576 … 65535 │          │      MTU 576 … 65535 │
 *     │ eth0 192.0.2.1       ├── veth ──┤ eth0 192.0.2.2       │
 *     └──────────────────────┘          └──────────────────────┘
 */
import { setImmediate as nextTurn } from 'node:timers/promises'

import { beforeAll, describe, expect, test } from 'vitest'

import { ApiProgram, type Options } from '../harness/api.js'
import { burstsOf, datagrams, type How, largestDatagramBytes } from '../harness/datagrams.js'
import { endToEnd } from '../harness/end-to-end.js'
import { peakResidentBytes, threadNames } from '../harness/proc.js'
import type { Child } from '../harness/process.js'
import { type Family, INNER, innerOf, OUTER, type Pair, PORT, type Role, twoHosts } from '../harness/topology.js'
import { transfer } from '../harness/transfer.js'
import { event, up } from '../harness/zportal.js'

const SERVER = `${OUTER.server.ipv4}:${PORT}`
const MIB = 1024 * 1024
const TCP_BYTES = 4 * MIB
const UDP_BYTES = 4 * MIB
/** Long enough that a process is looked at many times meanwhile. */
const LONG_BYTES = 256 * MIB

const FAMILIES: Family[] = ['ipv4', 'ipv6']
const HOWS: How[] = ['segmented', 'single']
const DIRECTIONS = [
  ['client', 'server'],
  ['server', 'client'],
] as const

/** Below this MTU the kernel has no IPv6 (RFC 8200, 5). */
const IPV6_MTU_MIN_BYTES = 1280
const MTUS_BYTES = [576, 1280, 1400, 9000, 65_535]
/** Each size with another one, as the smaller and as the larger, at the server and at the client. */
const UNEQUAL_MTUS_BYTES = [
  [576, 1400],
  [1280, 9000],
  [1400, 65_535],
  [9000, 1280],
  [65_535, 576],
] as const

/** How many packets a frame carries at least, where TCP begins with a few and soon hands over 64 KiB of 1400 bytes each. */
const PACKETS_A_FRAME = 5
const RESIDENT_MAX_BYTES = 80 * MIB

endToEnd('super-packets', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  const equal = MTUS_BYTES.map((mtuBytes) => ({ server: mtuBytes, client: mtuBytes }))
  const unequal = UNEQUAL_MTUS_BYTES.map(([server, client]) => ({ server, client }))
  test.each([...equal, ...unequal])('MTU $server at the server, $client at the client', async (mtuBytes) => {
    const families = Math.min(mtuBytes.server, mtuBytes.client) < IPV6_MTU_MIN_BYTES ? FAMILIES.slice(0, 1) : FAMILIES
    const ends = await openCommands(mtuBytes, families)
    for (const family of families) {
      for (const [{ sent, received }, direction] of await bothWays((from, to) => tcp(from, to, family, TCP_BYTES))) {
        expect(received, `TCP over ${family}, from the ${direction}`).toEqual(sent)
        expect(received.bytes).toBe(TCP_BYTES)
      }
      // An end fills packets of its own MTU; what is larger than the other's arrives all the same, whole.
      for (const how of HOWS) {
        const carry = (from: Role, to: Role) => udp(from, to, family, how, mtuBytes[from])
        for (const [{ sent, received }, direction] of await bothWays(carry)) {
          expect(received, `UDP over ${family}, ${how}, from the ${direction}`).toEqual(sent)
          expect(received.bytes).toBe(UDP_BYTES)
        }
      }
    }
    for (const [role, other] of DIRECTIONS) {
      await ends[role].stop()
      const notices = ends[role].lines.filter(({ text }) => / notice .*code=mtu-differs /.test(text))
      expect(notices, `what the ${role} says of the MTUs`).toHaveLength(mtuBytes.server === mtuBytes.client ? 0 : 1)
      for (const { text } of notices) {
        expect(text).toContain(`${mtuBytes[role]} bytes here, ${mtuBytes[other]} at the peer`)
      }
    }
  })

  describe('are used', () => {
    type Counters = Record<'txPackets' | 'txFrames' | 'rxPackets' | 'rxFrames' | `drops${string}`, number>
    /** What each end counted while something was done. */
    async function counting(
      ends: Record<Role, ApiProgram>,
      work: () => Promise<unknown>,
    ): Promise<Record<Role, Counters>> {
      const look = async (role: Role): Promise<Counters> => (await ends[role].order('stats', { key: 0 })) as Counters
      const before = { server: await look('server'), client: await look('client') }
      await work()
      const difference = async (role: Role): Promise<Counters> => {
        const counters = Object.entries(await look(role))
        return Object.fromEntries(
          counters.map(([name, total]) => [name, total - (before[role][name as keyof Counters] ?? 0)]),
        ) as Counters
      }
      return { server: await difference('server'), client: await difference('client') }
    }

    test.each(FAMILIES)(
      'for TCP and for UDP_SEGMENT over %s; and datagrams sent one by one are merged',
      async (family) => {
        const ends = await openPrograms({})
        for (const [from, to] of DIRECTIONS) {
          const ofTcp = await counting(ends, () => tcp(from, to, family, TCP_BYTES))
          expect(ofTcp[from].txPackets).toBeGreaterThan(TCP_BYTES / 1400)
          expect(ofTcp[from].txFrames).toBeLessThan(ofTcp[from].txPackets / PACKETS_A_FRAME)
          expect(ofTcp[to].rxFrames).toBeLessThan(ofTcp[to].rxPackets / PACKETS_A_FRAME)

          const ofSegmented = await counting(ends, () => udp(from, to, family, 'segmented', 1400))
          expect(ofSegmented[from].txFrames).toBeLessThan(ofSegmented[from].txPackets / PACKETS_A_FRAME)

          const ofSingle = await counting(ends, () => udp(from, to, family, 'single', 1400))
          expect(ofSingle[from].txFrames).toBeLessThan(ofSingle[from].txPackets / 2)
        }
      },
    )

    test.each(['server', 'client'] as const)('not where the %s has offload: false', async (without) => {
      const ends = await openPrograms({ [without]: { offload: false } })
      for (const [from, to] of DIRECTIONS) {
        const counters = await counting(ends, async () => {
          await tcp(from, to, 'ipv6', MIB)
          await udp(from, to, 'ipv4', 'segmented', 1400)
        })
        expect(counters[from].txPackets).toBeGreaterThan((UDP_BYTES + MIB) / 1400)
        expect(counters[from].txFrames).toBeGreaterThanOrEqual(counters[from].txPackets)
      }
    })

    test.each(FAMILIES)(
      'not by a sender with offload: false; its TCP segments over %s are gathered',
      async (family) => {
        const ends = await openPrograms({ client: { offload: false } })
        const before = await packetsGiven('server')
        const { server } = await counting(ends, () => tcp('client', 'server', family, TCP_BYTES))
        expect(server.rxPackets).toBeGreaterThan(TCP_BYTES / 1400)
        expect((await packetsGiven('server')) - before).toBeLessThan(server.rxPackets / 2)
      },
    )

    test('and nothing of them is dropped, with unequal MTUs either', async () => {
      const ends = await openPrograms({ server: { mtu: 9000 } })
      const counters = await counting(ends, () =>
        bothWays(async (from, to) => {
          await tcp(from, to, 'ipv6', TCP_BYTES)
          await udp(from, to, 'ipv4', 'segmented', from === 'server' ? 9000 : 1400)
        }),
      )
      for (const { dropsDown, dropsOversize, dropsTun, dropsHeader } of Object.values(counters)) {
        expect({ dropsDown, dropsOversize, dropsTun, dropsHeader }).toEqual({
          ...{ dropsDown: 0, dropsOversize: 0, dropsTun: 0, dropsHeader: 0 },
        })
      }
    })
  })

  test(`${LONG_BYTES / MIB} MiB each way: no worker thread of io_uring, at most ${RESIDENT_MAX_BYTES / MIB} MiB resident`, async () => {
    const ends = await openCommands({ server: 1400, client: 1400 }, FAMILIES)
    const progress = { carried: false }
    const carrying = bothWays((from, to) => tcp(from, to, 'ipv4', LONG_BYTES)).finally(() => {
      progress.carried = true
    })
    const seen = { server: new Set<string>(), client: new Set<string>() }
    let looks = 0
    while (!progress.carried) {
      looks += 1
      for (const [role] of DIRECTIONS) for (const name of threadNames(ends[role].pid)) seen[role].add(name)
      await nextTurn()
    }
    for (const [{ sent, received }] of await carrying) expect(received).toEqual(sent)
    expect(looks).toBeGreaterThan(100)
    for (const [role] of DIRECTIONS) {
      const names = [...seen[role]]
      expect(names).toContain('zportal')
      expect(names.filter((name) => name.startsWith('iou-'))).toEqual([])
      expect(peakResidentBytes(ends[role].pid)).toBeLessThanOrEqual(RESIDENT_MAX_BYTES)
    }
  })

  /** Both ends as commands, connected. */
  async function openCommands(mtuBytes: Record<Role, number>, families: Family[]): Promise<Record<Role, Child>> {
    const end = (role: Role) => ({ mtuBytes: mtuBytes[role], addresses: innerOf(role, families) })
    const server = await up(hosts.server, { ...end('server'), bind: SERVER })
    const client = await up(hosts.client, { ...end('client'), connect: SERVER })
    await server.line(event('up'))
    return { server, client }
  }

  /** Both ends in programs that can be asked for their counters, connected. */
  async function openPrograms(options: Partial<Record<Role, Options>>): Promise<Record<Role, ApiProgram>> {
    const ends = { server: new ApiProgram(hosts.server), client: new ApiProgram(hosts.client) }
    for (const [role, way] of [
      ['server', { bind: SERVER }],
      ['client', { connect: SERVER }],
    ] as const) {
      const all = { name: 'zt0', addresses: innerOf(role), ...way, ...options[role] }
      await ends[role].order('open', { key: 0, options: all })
    }
    for (const end of Object.values(ends)) await end.order('whenUp', { key: 0 })
    return ends
  }

  /** Does the same in both directions at once; gives each result with where it came from. */
  async function bothWays<T>(carry: (from: Role, to: Role) => Promise<T>): Promise<[T, Role][]> {
    return Promise.all(DIRECTIONS.map(async ([from, to]): Promise<[T, Role]> => [await carry(from, to), from]))
  }

  /** What was written into the device; a super-packet counts as one. */
  async function packetsGiven(role: Role): Promise<number> {
    return Number(await hosts[role].run('cat', '/sys/class/net/zt0/statistics/rx_packets'))
  }

  const tcp = (from: Role, to: Role, family: Family, bytes: number): ReturnType<typeof transfer> =>
    transfer(hosts[from], { namespace: hosts[to], address: INNER[to][family] }, { bytes, seed: from })

  const udp = (from: Role, to: Role, family: Family, how: How, mtuBytes: number): ReturnType<typeof datagrams> => {
    const plan = burstsOf(largestDatagramBytes(mtuBytes, family))
    const options = { how, plan, bytes: UDP_BYTES, seed: from }
    return datagrams(hosts[from], { namespace: hosts[to], address: INNER[to][family] }, options)
  }
})

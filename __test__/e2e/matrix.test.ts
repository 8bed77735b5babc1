/*
 * Every way a tunnel can go, with IPv4 and with IPv6 inside: pings, and 64 MiB in each direction that
 * are equal by sha256 at both ends.
 *
 * tcp4, tcp6, host name, unix        ┌─ server ─────────────┐          ┌─ client ─────────────┐
 * (a Unix socket's path is in the    │ zt0  10.10.0.1       │ ═tunnel═ │ zt0  10.10.0.2       │
 * file system, which no network      │      fd00:10::1      │          │      fd00:10::2      │
 * namespace confines)                │ eth0 192.0.2.1       ├── veth ──┤ eth0 192.0.2.2       │
 *                                    │      2001:db8::1     │          │      2001:db8::2     │
 *                                    └──────────────────────┘          └──────────────────────┘
 *
 * unixa                              ┌─ middle ─────────────────────────────────────────────┐
 * (an abstract socket is confined,   │  zportal up -n zt0 ◄── unixa:… ──► zportal up -n zt1 │
 * so both programs stand in one      └──────│──────────────────────────────────────────│────┘
 * namespace, and their TUN devices   ┌─ server ─────────────┐          ┌─ client ─────────────┐
 * are moved out of it, to the        │ zt0  10.10.0.1       │          │ zt1  10.10.0.2       │
 * namespaces whose traffic they      │      fd00:10::1      │          │      fd00:10::2      │
 * carry)                             └──────────────────────┘          └──────────────────────┘
 *
 * one and three SOCKS5 proxies       ┌ client ┐   ┌ proxy 1 ┐   ┌ proxy 2 ┐   ┌ proxy 3 ┐   ┌ server ┐
 * (microsocks; nobody forwards,      │     .1 ├───┤ .2  .17 ├───┤ .18 .33 ├───┤ .34 .49 ├───┤ .50    │
 * so nothing passes them by)         └────────┘   └─────────┘   └─────────┘   └─────────┘   └────────┘
 *
 * three of mixed kinds               the same line, where the nearest is reached over a Unix socket, and
 *                                    two of three want a password: microsocks on unix:, tinyproxy, dante;
 *                                    tinyproxy on unix:, dante, microsocks
 */
import { writeFile } from 'node:fs/promises'

import { beforeAll, describe, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import type { Lab } from '../harness/lab.js'
import { microsocks, SOCKS_PORT } from '../harness/microsocks.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { behindUnix, dante, DANTE_PORT, HTTP_LOGIN, HTTP_PORT, tinyproxy, USERINFO } from '../harness/proxies.js'
import { type Family, INNER, innerOf, OUTER, type Pair, PORT, proxyLine, twoHosts } from '../harness/topology.js'
import { transfer, TRANSFER_BYTES } from '../harness/transfer.js'
import { up } from '../harness/zportal.js'

/** How a tunnel is opened between two namespaces, for one family of inner addresses. */
interface Way extends Pair {
  open: (family: Family) => Promise<{ server: Child; client: Child }>
}

const FAMILIES: Family[] = ['ipv4', 'ipv6']
const NAME = 'server.example'

endToEnd('a tunnel over every kind of stream', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
    await hosts.client.hosts({ [NAME]: [OUTER.server.ipv4] })
  })

  const ways: Record<string, () => Way | Promise<Way>> = {
    tcp4: () => straight(hosts, `${OUTER.server.ipv4}:${PORT}`),
    tcp6: () => straight(hosts, `[${OUTER.server.ipv6}]:${PORT}`),
    'a host name': () => straight(hosts, `${OUTER.server.ipv4}:${PORT}`, `${NAME}:${PORT}`),
    unix: async () => straight(hosts, `unix:${await lab.path('zportal.sock')}`),
    unixa: () => abstract(lab),
    'one SOCKS5 proxy': () => proxied(lab, 1),
    'three SOCKS5 proxies': () => proxied(lab, 3),
    'SOCKS5 on a Unix socket, HTTP, SOCKS5': () => mixed(lab, ['socks5', 'http', 'dante']),
    'HTTP on a Unix socket, SOCKS5, SOCKS5': () => mixed(lab, ['http', 'dante', 'socks5']),
  }

  describe.each(Object.entries(ways))('%s', (_name, lay) => {
    let way: Way
    beforeAll(async () => {
      way = await lay()
    })

    test.each(FAMILIES)('carries %s', async (family) => {
      const { server, client } = way
      const tunnel = await way.open(family)

      expect(await ping(client, INNER.server[family])).toMatchObject({ sent: 10, received: 10 })
      expect(await ping(server, INNER.client[family])).toMatchObject({ sent: 10, received: 10 })
      for (const [from, to, address] of [
        [client, server, INNER.server[family]],
        [server, client, INNER.client[family]],
      ] as const) {
        const { sent, received } = await transfer(from, { namespace: to, address })
        expect(received).toEqual(sent)
        expect(received.bytes).toBe(TRANSFER_BYTES)
      }

      for (const end of [tunnel.client, tunnel.server]) {
        if (end.running) end.signal('SIGTERM')
        await end.exitsWith(0)
      }
      expect(await server.tuns()).toEqual([])
      expect(await client.tuns()).toEqual([])
    })
  })
})

/** From host to host, without anything between. */
function straight(hosts: Pair, bind: string, connect = bind): Way {
  return {
    ...hosts,
    open: async (family) => ({
      server: await up(hosts.server, { addresses: innerOf('server', [family]), bind }),
      client: await up(hosts.client, { addresses: innerOf('client', [family]), connect }),
    }),
  }
}

/** Over an abstract socket: see the drawing. */
async function abstract(lab: Lab): Promise<Way> {
  const [middle, server, client] = [
    await lab.namespace('middle'),
    await lab.namespace('moved-server'),
    await lab.namespace('moved-client'),
  ]
  const address = `unixa:${lab.owner}`
  const move = async (device: string, to: Namespace, addresses: string[]): Promise<void> => {
    await middle.ip('link', 'set', device, 'netns', to.name)
    await to.address(device, ...addresses) // The move took the addresses away and the link down.
  }
  return {
    server,
    client,
    open: async (family) => {
      const [ours, theirs] = [innerOf('server', [family]), innerOf('client', [family])]
      const ends = {
        server: await up(middle, { name: 'zt0', addresses: ours, bind: address }),
        client: await up(middle, { name: 'zt1', addresses: theirs, connect: address }),
      }
      await move('zt0', server, ours)
      await move('zt1', client, theirs)
      return ends
    },
  }
}

/** Through a chain of real proxies. The last one resolves the server's name; the client cannot. */
async function proxied(lab: Lab, count: number): Promise<Way> {
  const { client, proxies, server } = await proxyLine(lab, count)
  await proxies.at(-1)?.namespace.hosts({ [NAME]: [server.address] })
  for (const { namespace, address } of proxies) await microsocks(namespace, address)
  return {
    server: server.namespace,
    client: client.namespace,
    open: async (family) => ({
      server: await up(server.namespace, {
        addresses: innerOf('server', [family]),
        bind: `${server.address}:${PORT}`,
      }),
      client: await up(client.namespace, {
        addresses: innerOf('client', [family]),
        connect: `${NAME}:${PORT}`,
        proxies: proxies.map(({ address }) => `${address}:${SOCKS_PORT}`),
      }),
    }),
  }
}

/**
 * Through three real proxies, the nearest on a Unix socket. One password stands in its URL; the other comes from a file.
 */
async function mixed(lab: Lab, kinds: readonly ('socks5' | 'http' | 'dante')[]): Promise<Way> {
  const { client, proxies, server } = await proxyLine(lab, kinds.length, kinds[0])
  await proxies.at(-1)?.namespace.hosts({ [NAME]: [server.address] })
  const urls: string[] = []
  for (const [place, { namespace, address }] of proxies.entries()) {
    const kind = kinds[place] ?? 'socks5'
    const port = await PROXIES[kind](lab, namespace, address)
    const scheme = kind === 'http' ? 'http' : 'socks5'
    const userinfo = { socks5: '', http: `${HTTP_LOGIN.user}@`, dante: `${USERINFO}@` }[kind]
    if (place > 0) urls.push(`${scheme}://${userinfo}${address}:${port}`)
    else {
      const path = await lab.path(`${kind}.sock`)
      await behindUnix(namespace, path, address, port)
      urls.push(`${scheme}+unix://${userinfo}${path}`)
    }
  }
  const passwords = await lab.path('passwords')
  await writeFile(passwords, `${HTTP_LOGIN.password}\n`, { mode: 0o600 })
  return {
    server: server.namespace,
    client: client.namespace,
    open: async (family) => {
      const ends = {
        server: await up(server.namespace, {
          addresses: innerOf('server', [family]),
          bind: `${server.address}:${PORT}`,
        }),
        client: await up(client.namespace, {
          addresses: innerOf('client', [family]),
          connect: `${NAME}:${PORT}`,
          proxies: urls,
          more: ['--proxy-password-file', passwords],
        }),
      }
      const [, hops = ''] = await ends.client.line(/ up .*hops_ms=(\S+)/)
      expect(hops.split(',')).toHaveLength(4)
      return ends
    },
  }
}

const PROXIES = {
  socks5: async (_lab: Lab, at: Namespace, address: string) => {
    await microsocks(at, address)
    return SOCKS_PORT
  },
  http: async (lab: Lab, at: Namespace, address: string) => {
    await tinyproxy(lab, at, address)
    return HTTP_PORT
  },
  dante: async (lab: Lab, at: Namespace, address: string) => {
    await dante(lab, at, address)
    return DANTE_PORT
  },
}

/*
 * Tunnels through a real Tor, whose whole network stands in one namespace: to an exit, and to an onion service.
 *
 *     ┌ client ┐   ┌ net: 3 authorities, 4 exits,    ┐   ┌ server ┐
 *     │     .1 ├───┤ .2   an onion service, and  .17 ├───┤ .18    │      192.0.2.0/28, .16/28
 *     └────────┘   │      a client that takes SOCKS  │   └────────┘      nobody forwards packets
 *                  └─────────────────────────────────┘
 */
import { beforeAll, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { ping } from '../harness/ping.js'
import { INNER, innerOf, PORT, proxyLine, type Stop } from '../harness/topology.js'
import { SOCKS_PORT, type TorNetwork, torNetwork } from '../harness/tor-network.js'
import { transfer } from '../harness/transfer.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

/** What a byte costs on three or six encrypted hops on one small machine. */
const BYTES = 16 * 1024 * 1024
const TRANSFER_MS = 180_000
/** A circuit to an onion service that was never asked for takes longest. */
const DIAL_MS = 120_000

endToEnd('a tunnel through Tor', (lab) => {
  let client: Stop
  let server: Stop
  let tor: TorNetwork
  let torAddress: string
  beforeAll(async () => {
    const line = await proxyLine(lab, 1, 'tor')
    const [middle] = line.proxies
    if (middle === undefined) throw new Error('a line of one proxy has one')
    client = line.client
    server = line.server
    torAddress = `${middle.address}:${SOCKS_PORT}`
    tor = await torNetwork(lab, middle.namespace, {
      socksAddress: middle.address,
      servicePort: PORT,
      serviceTarget: `${server.address}:${PORT}`,
    })
  }, 300_000)

  const targets = {
    'an exit': () => `${server.address}:${PORT}`,
    'an onion service': () => `${tor.onion}:${PORT}`,
  }

  test.each(Object.entries(targets))('to %s carries ping and equal data', async (_, target) => {
    await up(server.namespace, { addresses: innerOf('server'), bind: `${server.address}:${PORT}` })
    const dialling = zportal(client.namespace, [
      'up',
      ...flags({ addresses: innerOf('client'), connect: target(), more: [`--tor=${torAddress}`] }),
    ])
    await dialling.line(event('connecting'))
    const [, hops = ''] = await dialling.line(/ up .*hops_ms=(\S+)/, { deadlineMs: DIAL_MS })
    expect(hops.split(',')).toHaveLength(2)

    expect((await ping(client.namespace, INNER.server.ipv4, { intervalMs: 200 })).received).toBe(10)
    for (const [from, to, address] of [
      [client, server, INNER.server.ipv4],
      [server, client, INNER.client.ipv4],
    ] as const) {
      const options = { bytes: BYTES, deadlineMs: TRANSFER_MS }
      const { sent, received } = await transfer(from.namespace, { namespace: to.namespace, address }, options)
      expect(received).toEqual(sent)
      expect(received.bytes).toBe(BYTES)
    }
    await dialling.stop()
  })

  test('an onion service that is none is told in words', async () => {
    const nobody = `${'a'.repeat(56)}.onion`
    const more = ['--once', `--tor=${torAddress}`]
    const child = zportal(client.namespace, [
      'up',
      ...flags({ addresses: innerOf('client'), connect: `${nobody}:${PORT}`, more }),
    ])
    await child.exitsWith(1, DIAL_MS)
    const said = child.lines.map(({ text }) => text).find((text) => text.startsWith('ZP_')) ?? child.report()
    expect(said).toMatch(
      /^ZP_PROXY_REFUSED: proxy tor:\/\/.* \(hop 0\) cannot reach a{56}\.onion:7000 \(hop 1\): this is not/,
    )
  })
})

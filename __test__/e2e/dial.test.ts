/*
 * The client's way to its peer: every address of a name is tried, a deadline covers the whole way, and
 * a way that fails names the place and the reason.
 *
 *     ┌ client ┐   ┌ proxy 1 ┐   ┌ proxy 2 ┐   ┌ server ┐
 *     │     .1 ├───┤ .2  .17 ├───┤ .18 .33 ├───┤ .34    │     192.0.2.0/28, .16/28, .32/28
 *     └────────┘   └─────────┘   └─────────┘   └────────┘     nobody forwards packets
 */
import { beforeAll, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { microsocks, SOCKS_PORT } from '../harness/microsocks.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, PORT, proxyLine, type Stop } from '../harness/topology.js'
import { type End, event, flags, up, zportal } from '../harness/zportal.js'

/** On the client's cable, and nobody has it. */
const NOBODY = '192.0.2.14'

endToEnd('the way to the peer', (lab) => {
  let client: Stop
  let server: Stop
  let proxies: [Stop, Stop]
  beforeAll(async () => {
    const line = await proxyLine(lab, 2)
    client = line.client
    server = line.server
    proxies = line.proxies as [Stop, Stop]
  })

  /** Dials in vain; gives the one line that says why. */
  async function fails({ more = [], ...end }: Omit<End, 'addresses'>): Promise<string> {
    const once = { addresses: innerOf('client'), ...end, more: ['--once', ...more] }
    const child: Child = zportal(client.namespace, ['up', ...flags(once)])
    await child.exitsWith(1, 10_000)
    return child.lines.map(({ text }) => text).find((text) => text.startsWith('ZP_')) ?? child.report()
  }

  test('every address of a name is tried', async () => {
    const [near] = proxies
    await client.namespace.hosts({ 'peer.example': [NOBODY, '2001:db8:99::1', client.address, near.address] })
    const serving = await up(near.namespace, { addresses: innerOf('server'), bind: `${near.address}:${PORT}` })
    const dialling = await up(client.namespace, { addresses: innerOf('client'), connect: `peer.example:${PORT}` })
    expect((await ping(client.namespace, INNER.server.ipv4)).received).toBe(10)
    await dialling.stop()
    await serving.stop()
  })

  test('nobody listens', async () => {
    const line = await fails({ connect: `${proxies[0].address}:${PORT}` })
    expect(line).toMatch(/^ZP_DIAL_REFUSED: .*192\.0\.2\.2:7000/)
  })

  test('no route', async () => {
    expect(await fails({ connect: `203.0.113.1:${PORT}` })).toMatch(/^ZP_DIAL: .*203\.0\.113\.1:7000/)
  })

  test('a name without address', async () => {
    expect(await fails({ connect: `nobody.invalid:${PORT}` })).toMatch(/^ZP_RESOLVE: .*nobody\.invalid/)
  })

  test('no socket file', async () => {
    const path = await lab.path('nobody.sock')
    expect(await fails({ connect: `unix:${path}` })).toMatch(/^ZP_DIAL\w*: .*nobody\.sock/)
  })

  test('nobody answers within the deadline', async () => {
    const end = { addresses: innerOf('client'), connect: `${NOBODY}:${PORT}`, more: ['--once', '--dial-timeout', '1'] }
    const child = zportal(client.namespace, ['up', ...flags(end)])
    await child.line(event('connecting'))
    const startedAt = performance.now()
    await child.line(/^ZP_DIAL_TIMEOUT: .*1000 ms/)
    // The kernel itself gives up on ARP only after 3 s.
    expect(performance.now() - startedAt).toBeLessThan(2000)
    await child.exitsWith(1)
  })

  test('the first proxy does not listen', async () => {
    const line = await fails({ connect: `${server.address}:${PORT}`, proxies: [`${proxies[0].address}:9`] })
    expect(line).toMatch(/^ZP_DIAL_REFUSED: .*192\.0\.2\.2:9/)
  })

  test('the second proxy does not listen: the first says so, and is named', async () => {
    const first = await microsocks(proxies[0].namespace, proxies[0].address)
    const chain = [`${proxies[0].address}:${SOCKS_PORT}`, `${proxies[1].address}:9`]
    const line = await fails({ connect: `${server.address}:${PORT}`, proxies: chain })
    expect(line).toMatch(/^ZP_PROXY_REFUSED: .*192\.0\.2\.2:1080.*192\.0\.2\.18:9/)
    await first.stop()
  })

  test('the peer does not listen: the last proxy says so, and is named', async () => {
    for (const { namespace, address } of proxies) await microsocks(namespace, address)
    const chain = proxies.map(({ address }) => `${address}:${SOCKS_PORT}`)
    const line = await fails({ connect: `${server.address}:${PORT}`, proxies: chain })
    expect(line).toMatch(/^ZP_PROXY_REFUSED: .*192\.0\.2\.18:1080.*192\.0\.2\.34:7000/)
  })

  test('the last proxy does not know the name', async () => {
    const first = await microsocks(proxies[0].namespace, proxies[0].address)
    const line = await fails({ connect: `nobody.invalid:${PORT}`, proxies: [`${proxies[0].address}:${SOCKS_PORT}`] })
    expect(line).toMatch(/^ZP_PROXY_REFUSED: .*192\.0\.2\.2:1080.*nobody\.invalid/)
    await first.stop()
  })

  test('a proxy that wants a password', async () => {
    const [{ namespace, address }] = proxies
    const strict = await microsocks(namespace, address, { password: 'secret' })
    const line = await fails({ connect: `${server.address}:${PORT}`, proxies: [`${address}:${SOCKS_PORT}`] })
    expect(line).toMatch(/^ZP_PROXY_AUTH: .*192\.0\.2\.2:1080/)
    await strict.stop()
  })

  test('a proxy that is none', async () => {
    const [{ namespace, address }] = proxies
    const web = namespace.spawn([
      process.execPath,
      '-e',
      `require('net').createServer((s) => s.on('error', () => {}).end('HTTP/1.1 400 Bad Request\\r\\n\\r\\n'))
         .listen(8080, '${address}', () => console.log('listening'))`,
    ])
    await web.line(/listening/)
    const line = await fails({ connect: `${server.address}:${PORT}`, proxies: [`${address}:8080`] })
    expect(line).toMatch(/^ZP_PROXY_PROTOCOL: .*192\.0\.2\.2:8080/)
    await web.stop()
  })

  test('a proxy that says nothing: the deadline covers it', async () => {
    const [{ namespace, address }] = proxies
    const mute = namespace.spawn([
      process.execPath,
      '-e',
      `require('net').createServer((s) => s.on('error', () => {}).resume())
         .listen(8080, '${address}', () => console.log('listening'))`,
    ])
    await mute.line(/listening/)
    const more = ['--dial-timeout', '1']
    const line = await fails({ connect: `${server.address}:${PORT}`, proxies: [`${address}:8080`], more })
    expect(line).toMatch(/^ZP_DIAL_TIMEOUT: .*192\.0\.2\.2:8080/)
    await mute.stop()
  })
})

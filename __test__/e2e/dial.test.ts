/*
 * The client's way to its peer: every address of a name is tried, a deadline covers the whole way, and
 * a way that fails names the place and the reason.
 *
 *     ┌ client ┐   ┌ proxy 1 ┐   ┌ proxy 2 ┐   ┌ server ┐
 *     │     .1 ├───┤ .2  .17 ├───┤ .18 .33 ├───┤ .34    │     192.0.2.0/28, .16/28, .32/28
 *     └────────┘   └─────────┘   └─────────┘   └────────┘     nobody forwards packets
 */
import { readFileSync } from 'node:fs'

import { beforeAll, describe, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { microsocks, SOCKS_PORT } from '../harness/microsocks.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { dante, DANTE_PORT, HTTP_LOGIN, HTTP_PORT, LOGIN, tinyproxy, USERINFO } from '../harness/proxies.js'
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
    expect(await fails({ connect: `unix:${path}` })).toMatch(
      /^ZP_DIAL_REFUSED: there is no socket unix:\S*nobody\.sock: .*is the path right\?$/,
    )
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

  describe('a password', () => {
    const kinds = {
      microsocks: async ({ namespace, address }: Stop) => {
        await microsocks(namespace, address, { password: LOGIN.password })
        return { scheme: 'socks5', port: SOCKS_PORT, right: `user:${encodeURIComponent(LOGIN.password)}` }
      },
      dante: async ({ namespace, address }: Stop) => {
        await dante(lab, namespace, address)
        return { scheme: 'socks5', port: DANTE_PORT, right: USERINFO }
      },
      tinyproxy: async ({ namespace, address }: Stop) => {
        await tinyproxy(lab, namespace, address)
        return { scheme: 'http', port: HTTP_PORT, right: `${HTTP_LOGIN.user}:${HTTP_LOGIN.password}` }
      },
    }

    test.each(Object.entries(kinds))(
      'that is wrong for %s is told with its hop, and shown nowhere',
      async (_, start) => {
        const [near, far] = proxies
        await microsocks(near.namespace, near.address)
        const { scheme, port, right } = await start(far)
        const through = (userinfo: string) => ({
          addresses: innerOf('client'),
          connect: `${server.address}:${PORT}`,
          proxies: [`${near.address}:${SOCKS_PORT}`, `${scheme}://${userinfo}@${far.address}:${port}`],
        })
        const child = zportal(client.namespace, ['up', ...flags(through('alice:squeamish'))])
        await child.line(event('connecting'))
        await child.exitsWith(1, 10_000)
        const said = child.lines.map(({ text }) => text).join('\n')
        expect(said).toMatch(
          new RegExp(`^ZP_PROXY_AUTH: proxy ${scheme}://${far.address}:${port} \\(hop 1\\) .*refused`, 'm'),
        )
        expect(said).not.toMatch(/squeamish|alice/)

        // With the right one it gets through: there the peer does not listen, and nobody else sees the password.
        const silent = far.namespace.spawn([
          process.execPath,
          '-e',
          `require('net').createServer((s) => s.on('error', () => {}).resume())
           .listen(7001, '${far.address}', () => console.log('listening'))`,
        ])
        await silent.line(/listening/)
        const admitted = zportal(client.namespace, [
          'up',
          ...flags({ ...through(right), connect: `${far.address}:7001` }),
        ])
        await admitted.line(event('up'))
        const commandLine = readFileSync(`/proc/${admitted.pid}/cmdline`, 'utf8')
        expect(commandLine).toContain(`://***@${far.address}:${port}`)
        const environment = readFileSync(`/proc/${admitted.pid}/environ`, 'utf8')
        const [, password = ''] = right.split(':')
        for (const shown of [commandLine, environment, admitted.report().replace(/^\$.*/, '')]) {
          expect(shown).not.toContain(password)
          expect(shown).not.toContain(decodeURIComponent(password))
        }
        await admitted.stop()
      },
    )
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

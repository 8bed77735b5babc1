/*
 * Routes into the tunnel, and the one way that must not go into it: the client's own, to its first hop. The topology is
 * that of harness/routed.ts.
 */
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { ping } from '../harness/ping.js'
import { EVERYTHING, INSIDE, routed, type Routed, SERVER, SERVER6 } from '../harness/routed.js'
import { innerOf, PORT } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

const BREAKER = fileURLToPath(new URL('../harness/inside/breaker.mjs', import.meta.url))
const RECONNECTS = 20

endToEnd('routes', (lab) => {
  let at: Routed
  beforeAll(async () => {
    at = await routed(lab)
  })

  test('networks of both families go in, and are gone with the tunnel', async () => {
    await at.serve()
    const tunnel = at.dial(['--route', '198.51.100.0/24', '--route', '2001:db8:99::/48'])
    await tunnel.line(event('up'))
    expect(await at.client.ip('route', 'show', 'proto', '90')).toMatch(/^198\.51\.100\.0\/24 dev zt0 scope link *$/m)
    expect(await at.kept()).toEqual([])
    await at.flows('ipv4', 'ipv6')
    await tunnel.stop()
    await at.nothingIsLeft()
  })

  describe('everything', () => {
    test.each([
      ['IPv4', `${SERVER}:${PORT}`, `${SERVER} via 192.0.2.2 dev eth0`],
      ['IPv6', `[${SERVER6}]:${PORT}`, `${SERVER6} via 2001:db8:1::2 dev eth0`],
    ])('goes in, but for the stream itself over %s', async (_name, connect, pin) => {
      await at.serve()
      const tunnel = at.dial(EVERYTHING, connect)
      await tunnel.line(event('up'))
      expect(await at.client.ip('route', 'show', 'proto', '90')).toMatch(
        /^0\.0\.0\.0\/1 dev zt0 .*\n.*128\.0\.0\.0\/1 dev zt0/s,
      )
      expect(await at.kept()).toEqual([pin])
      expect(await at.client.ip('route', 'show', 'default')).toContain('via 192.0.2.2')
      await at.flows('ipv4', 'ipv6')
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test(`lives through ${RECONNECTS} reconnects, and a name whose servers are inside`, async () => {
      await at.serve()
      const port = PORT + 1
      const breaker = at.server.spawn([process.execPath, BREAKER, SERVER, String(port), String(PORT)])
      await breaker.line(/^ready$/)
      // The first address is nobody's.
      await at.client.hosts({ 'peer.example': ['192.0.2.30', SERVER] })
      const tunnel = at.dial(EVERYTHING, `peer.example:${port}`)
      await tunnel.line(event('up'))
      for (let times = 1; times <= RECONNECTS; times += 1) {
        // A session that carried nothing makes the next pause longer.
        expect((await ping(at.client, INSIDE.ipv4, { count: 1 })).received).toBe(1)
        const after = tunnel.lines.length
        breaker.signal('SIGUSR2')
        await tunnel.line(event('up'), { after })
      }
      await at.flows('ipv4', 'ipv6')
      expect(await at.kept()).toContain(`${SERVER} via 192.0.2.2 dev eth0`)
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('follows a new gateway without losing the session', async () => {
      await at.serve()
      const tunnel = at.dial(EVERYTHING)
      await tunnel.line(event('up'))
      await at.client.ip('route', 'replace', 'default', 'via', '192.0.2.3')
      await until('the new way', 5000, async () => (await at.kept()).includes(`${SERVER} via 192.0.2.3 dev eth0`))
      expect(await at.kept()).toHaveLength(1)
      await at.flows('ipv4')
      expect(tunnel.stderr).not.toMatch(event('waiting'))
      await at.client.ip('route', 'replace', 'default', 'via', '192.0.2.2')
      await until('the old way', 5000, async () => (await at.kept()).includes(`${SERVER} via 192.0.2.2 dev eth0`))
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('does not try to reach the peer through itself, and goes on when there is a way again', async () => {
      await at.serve()
      await at.client.ip('route', 'delete', 'default')
      const tunnel = at.dial(EVERYTHING)
      await tunnel.line(/waiting .*reason=ZP_DIAL .*tunnel's own/)
      await at.client.ip('route', 'add', 'default', 'via', '192.0.2.2')
      await tunnel.line(event('up'))
      await at.flows('ipv4')
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('goes in although one family of the name cannot be kept outside', async () => {
      await at.serve()
      await at.client.hosts({ 'peer.example': [SERVER6, SERVER] })
      // Without the network of the gateway no further route by that gateway is taken.
      await at.client.ip('-6', 'route', 'delete', '2001:db8:1::/64', 'dev', 'eth0')
      const tunnel = at.dial(EVERYTHING, `peer.example:${PORT}`)
      await tunnel.line(event('up'))
      expect(await at.kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await at.flows('ipv4', 'ipv6')
      await tunnel.stop()
      await at.client.ip('-6', 'route', 'add', '2001:db8:1::/64', 'dev', 'eth0', 'proto', 'kernel', 'metric', '256')
      await at.nothingIsLeft()
    })

    test('leaves neighbours and Unix sockets as they are', async () => {
      const near = await up(at.router, { addresses: innerOf('server'), bind: `192.0.2.2:${PORT}` })
      const neighbour = at.dial(EVERYTHING, `192.0.2.2:${PORT}`)
      await neighbour.line(event('up'))
      expect(await at.kept()).toEqual([])
      await neighbour.stop()
      await near.stop()
      const socket = await lab.path('routes.sock')
      await up(at.server, { addresses: innerOf('server'), bind: `unix:${socket}` })
      const local = at.dial(EVERYTHING, `unix:${socket}`)
      await local.line(event('up'))
      expect(await at.kept()).toEqual([])
      await at.flows('ipv4', 'ipv6')
      await local.stop()
      await at.nothingIsLeft()
    })

    test('what a killed tunnel left is removed by the next, whatever that routes', async () => {
      await at.serve()
      const killed = at.dial(EVERYTHING)
      await killed.line(event('up'))
      killed.signal('SIGKILL')
      await killed.exit()
      await until('the end of the TUN', 5000, async () => (await at.client.tuns()).length === 0)
      expect(await at.kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      const next = at.dial([])
      await next.line(event('up'))
      expect(await at.kept()).toEqual([])
      await next.stop()
      await at.nothingIsLeft()
    })

    test('what another tunnel that lives keeps outside stays', async () => {
      await at.serve()
      const first = at.dial(EVERYTHING)
      await first.line(event('up'))
      const second = zportal(at.client, ['up', ...flags({ name: 'zt1', addresses: [], connect: `${SERVER}:9` })])
      await second.line(event('connecting'))
      expect(await at.kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await second.stop()
      await at.flows('ipv4')
    })
  })

  describe('a reload', () => {
    test('adds and removes while the session lives, and the stream stays outside', async () => {
      const { tunnel, write } = await at.fromFile()
      expect(await at.into()).toEqual([])

      write('0.0.0.0/0', '2001:db8:99::/48')
      expect((await at.reload(0)).stdout).toBe('zt0: applied route\n')
      expect(await at.into()).toEqual(['0.0.0.0/1', '128.0.0.0/1', '2001:db8:99::/48'])
      expect(await at.kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await at.flows('ipv4', 'ipv6')

      write('198.51.100.0/24')
      tunnel.signal('SIGHUP')
      await tunnel.line(/ info reloaded applied=route$/)
      expect(await at.into()).toEqual(['198.51.100.0/24'])
      expect(await at.kept()).toEqual([])
      await at.flows('ipv4')

      write()
      await at.reload(0)
      expect(await at.into()).toEqual([])
      expect(tunnel.stderr).not.toMatch(event('waiting'))
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('that is refused, by the options or by the kernel, leaves the routes as they were', async () => {
      const { tunnel, write } = await at.fromFile()
      write('198.51.100.0/24')
      await at.reload(0)
      write('198.51.100.7/24')
      expect((await at.reload(2)).stderr).toMatch(/^ZP_OPTION: .*client\.toml:4: route must .*198\.51\.100\.0\/24/)
      await at.client.ip('route', 'add', '203.0.113.0/24', 'via', '192.0.2.2')
      // The first of them is added before the second is refused.
      write('192.0.2.16/28', '203.0.113.0/24')
      expect((await at.reload(1)).stderr).toMatch(/^ZP_ROUTE_EXISTS: .*203\.0\.113\.0\/24/)
      expect(await at.into()).toEqual(['198.51.100.0/24'])
      expect(await at.kept()).toEqual([])
      await at.flows('ipv4')
      await at.client.ip('route', 'delete', '203.0.113.0/24')
      expect((await at.reload(0)).stdout).toBe('zt0: applied route\n')
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('is no more than a start: a killed tunnel leaves what the next removes', async () => {
      const { tunnel, write } = await at.fromFile()
      write('0.0.0.0/0')
      await at.reload(0)
      tunnel.signal('SIGKILL')
      await tunnel.exit()
      await until('the end of the TUN', 5000, async () => (await at.client.tuns()).length === 0)
      expect(await at.kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      const next = at.dial([])
      await next.line(event('up'))
      expect(await at.kept()).toEqual([])
      await next.stop()
      await at.nothingIsLeft()
    })
  })

  describe('what is refused', () => {
    test.each([
      ['10.0.0.0', '10.0.0.0/24'],
      ['10.1.2.3/8', '10.0.0.0/8'],
      ['fd00::1/64', 'fd00::/64'],
      ['10.0.0.0/40', '32'],
    ])('%s', async (route, quoted) => {
      const child = at.dial(['--route', route])
      await child.exitsWith(2)
      expect(child.stderr).toMatch(/^ZP_OPTION: --route /)
      expect(child.stderr).toContain(quoted)
      expect(await at.client.tuns()).toEqual([])
    })

    test('a route that is there already', async () => {
      await at.client.ip('route', 'add', '128.0.0.0/1', 'via', '192.0.2.2')
      const child = at.dial(['--route', '0.0.0.0/0'])
      await child.exitsWith(1)
      expect(child.stderr).toMatch(/^ZP_ROUTE_EXISTS: .*128\.0\.0\.0\/1/m)
      expect(await at.client.tuns()).toEqual([])
      await at.client.ip('route', 'delete', '128.0.0.0/1')
      await at.nothingIsLeft()
    })
  })

  test('a server has routes too, and says who cannot reach it any more', async () => {
    await at.client.address('lo', '203.0.113.1/32')
    const serving = await up(at.server, {
      addresses: innerOf('server'),
      bind: `${SERVER}:${PORT}`,
      more: ['--route', '203.0.113.0/24'],
    })
    const tunnel = at.dial(['--route', '198.51.100.0/24'])
    await tunnel.line(event('up'))
    expect((await ping(at.server, '203.0.113.1')).received).toBe(10)
    await tunnel.stop()
    await serving.stop()
    const all = await up(at.server, { addresses: innerOf('server'), bind: `${SERVER}:${PORT}`, more: EVERYTHING })
    await all.line(/ warn notice .*code=routes .*more specific route/)
    await at.client.ip('address', 'delete', '203.0.113.1/32', 'dev', 'lo')
  })
})

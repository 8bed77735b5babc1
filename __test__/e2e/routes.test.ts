/*
 * Routes into the tunnel, and the one way that must not go into it: the client's own, to its first hop.
 *
 *     ┌─ client ──────────────┐    ┌─ router ───────────┐    ┌─ server ───────────────────┐
 *     │ zt0  10.10.0.2        │ ═══│═══════ tunnel ═════│═══ │ zt0  10.10.0.1             │
 *     │                       │    │      forwards      │    │ lo   198.51.100.1 (inside) │
 *     │ eth0 192.0.2.1/28     ├────┤ .2, .3         .17 ├────┤ eth0 192.0.2.18/28         │
 *     │      default via .2   │    │                    │    │      default via .17       │
 *     └───────────────────────┘    └────────────────────┘    └────────────────────────────┘
 *
 * 198.51.100.1 and 2001:db8:99::1 can be reached through the tunnel only: the router knows no way there.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { join, type Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, PORT } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

const BREAKER = fileURLToPath(new URL('../harness/inside/breaker.mjs', import.meta.url))
const NAMES = fileURLToPath(new URL('../harness/inside/names.mjs', import.meta.url))
/** The router's, and no neighbour's: whatever routes everything into a tunnel routes the way there as well. */
const NAME_SERVER = '203.0.113.53'
const SERVER = '192.0.2.18'
const SERVER6 = '2001:db8:2::18'
const INSIDE = { ipv4: '198.51.100.1', ipv6: '2001:db8:99::1' }
const EVERYTHING = ['--route', '0.0.0.0/0', '--route', '::/0']
const RECONNECTS = 20

endToEnd('routes', (lab) => {
  let client: Namespace
  let router: Namespace
  let server: Namespace
  /** The client's routes without any tunnel. */
  let before: string
  beforeAll(async () => {
    ;[client, router, server] = [
      await lab.namespace('client'),
      await lab.namespace('router'),
      await lab.namespace('server'),
    ]
    await join(
      { namespace: client, device: 'eth0', addresses: ['192.0.2.1/28', '2001:db8:1::1/64'] },
      { namespace: router, device: 'eth0', addresses: ['192.0.2.2/28', '192.0.2.3/28', '2001:db8:1::2/64'] },
    )
    await join(
      { namespace: router, device: 'eth1', addresses: ['192.0.2.17/28', '2001:db8:2::17/64'] },
      { namespace: server, device: 'eth0', addresses: [`${SERVER}/28`, `${SERVER6}/64`] },
    )
    await router.run('sh', '-c', 'echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding')
    await client.ip('route', 'add', 'default', 'via', '192.0.2.2')
    await client.ip('-6', 'route', 'add', 'default', 'via', '2001:db8:1::2')
    await server.ip('route', 'add', 'default', 'via', '192.0.2.17')
    await server.ip('-6', 'route', 'add', 'default', 'via', '2001:db8:2::17')
    await server.address('lo', `${INSIDE.ipv4}/32`, `${INSIDE.ipv6}/128`)
    // The kernel tries link-local addresses for a second or two before it routes them.
    await until('the link-local addresses', 10_000, async () => {
      const shown = await client.ip('-6', 'address', 'show', 'dev', 'eth0', 'scope', 'link')
      return shown.includes('fe80::') && !shown.includes('tentative')
    })
    before = await routes()
  })

  /** Every route of the client, of both families and all tables. */
  async function routes(): Promise<string> {
    const [ipv4, ipv6] = [
      await client.ip('route', 'show', 'table', 'all'),
      await client.ip('-6', 'route', 'show', 'table', 'all'),
    ]
    // What the kernel makes of a device by itself comes a moment after it.
    return `${ipv4}${ipv6}`
      .split('\n')
      .filter((line) => !/ zt\d /.test(line))
      .sort()
      .join('\n')
  }

  /** What is kept outside. */
  async function kept(): Promise<string[]> {
    const each = [
      await client.ip('route', 'show', 'proto', '90'),
      await client.ip('-6', 'route', 'show', 'proto', '90'),
    ]
    return each
      .join('')
      .split('\n')
      .filter((line) => line !== '' && !line.includes('dev zt'))
      .map((line) => line.replace(/ +metric.*$/, '').trim())
  }

  /** What is routed into the tunnel. */
  async function into(): Promise<string[]> {
    const each = [await client.ip('route', 'show', 'dev', 'zt0'), await client.ip('-6', 'route', 'show', 'dev', 'zt0')]
    const lines = each.join('').matchAll(/^(\S+) (?=.*proto 90)/gm)
    return [...lines].map(([, route = '']) => route)
  }

  const serve = (): Promise<Child> => up(server, { addresses: innerOf('server'), bind: `[::]:${PORT}` })
  const dial = (more: string[], connect = `${SERVER}:${PORT}`): Child =>
    zportal(client, ['up', ...flags({ addresses: innerOf('client'), connect, more })])

  /** A client from a file, up with a server, and how to write into the file what it routes. */
  async function fromFile(): Promise<{ tunnel: Child; write: (...routes: string[]) => void }> {
    const file = await lab.path('client.toml')
    const write = (...routes: string[]): void => {
      const lines = [`name = "zt0"`, `connect = "${SERVER}:${PORT}"`, `address = ${JSON.stringify(innerOf('client'))}`]
      writeFileSync(file, [...lines, `route = ${JSON.stringify(routes)}`, ''].join('\n'))
    }
    write()
    await serve()
    const tunnel = zportal(client, ['up', '-f', file])
    await tunnel.line(event('up'))
    return { tunnel, write }
  }
  const reload = async (code: number): Promise<Child> => zportal(client, ['reload', 'zt0']).exitsWith(code)

  async function flows(...families: (keyof typeof INSIDE)[]): Promise<void> {
    for (const family of families) expect((await ping(client, INSIDE[family])).received).toBe(10)
  }

  async function nothingIsLeft(): Promise<void> {
    await until('the routes as before', 5000, async () => (await routes()) === before)
  }

  test('networks of both families go in, and are gone with the tunnel', async () => {
    await serve()
    const tunnel = dial(['--route', '198.51.100.0/24', '--route', '2001:db8:99::/48'])
    await tunnel.line(event('up'))
    expect(await client.ip('route', 'show', 'proto', '90')).toMatch(/^198\.51\.100\.0\/24 dev zt0 scope link *$/m)
    expect(await kept()).toEqual([])
    await flows('ipv4', 'ipv6')
    await tunnel.stop()
    await nothingIsLeft()
  })

  describe('everything', () => {
    test.each([
      ['IPv4', `${SERVER}:${PORT}`, `${SERVER} via 192.0.2.2 dev eth0`],
      ['IPv6', `[${SERVER6}]:${PORT}`, `${SERVER6} via 2001:db8:1::2 dev eth0`],
    ])('goes in, but for the stream itself over %s', async (_name, connect, pin) => {
      await serve()
      const tunnel = dial(EVERYTHING, connect)
      await tunnel.line(event('up'))
      expect(await client.ip('route', 'show', 'proto', '90')).toMatch(
        /^0\.0\.0\.0\/1 dev zt0 .*\n.*128\.0\.0\.0\/1 dev zt0/s,
      )
      expect(await kept()).toEqual([pin])
      expect(await client.ip('route', 'show', 'default')).toContain('via 192.0.2.2')
      await flows('ipv4', 'ipv6')
      await tunnel.stop()
      await nothingIsLeft()
    })

    test(`lives through ${RECONNECTS} reconnects, and a name whose servers are inside`, async () => {
      await serve()
      const port = PORT + 1
      const breaker = server.spawn([process.execPath, BREAKER, SERVER, String(port), String(PORT)])
      await breaker.line(/^ready$/)
      // The first address is nobody's.
      await client.hosts({ 'peer.example': ['192.0.2.30', SERVER] })
      const tunnel = dial(EVERYTHING, `peer.example:${port}`)
      await tunnel.line(event('up'))
      for (let times = 1; times <= RECONNECTS; times += 1) {
        // A session that carried nothing makes the next pause longer.
        expect((await ping(client, INSIDE.ipv4, { count: 1 })).received).toBe(1)
        const after = tunnel.lines.length
        breaker.signal('SIGUSR2')
        await tunnel.line(event('up'), { after })
      }
      await flows('ipv4', 'ipv6')
      expect(await kept()).toContain(`${SERVER} via 192.0.2.2 dev eth0`)
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('follows a new gateway without losing the session', async () => {
      await serve()
      const tunnel = dial(EVERYTHING)
      await tunnel.line(event('up'))
      await client.ip('route', 'replace', 'default', 'via', '192.0.2.3')
      await until('the new way', 5000, async () => (await kept()).includes(`${SERVER} via 192.0.2.3 dev eth0`))
      expect(await kept()).toHaveLength(1)
      await flows('ipv4')
      expect(tunnel.stderr).not.toMatch(event('waiting'))
      await client.ip('route', 'replace', 'default', 'via', '192.0.2.2')
      await until('the old way', 5000, async () => (await kept()).includes(`${SERVER} via 192.0.2.2 dev eth0`))
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('does not try to reach the peer through itself, and goes on when there is a way again', async () => {
      await serve()
      await client.ip('route', 'delete', 'default')
      const tunnel = dial(EVERYTHING)
      await tunnel.line(/waiting .*reason=ZP_DIAL .*tunnel's own/)
      await client.ip('route', 'add', 'default', 'via', '192.0.2.2')
      await tunnel.line(event('up'))
      await flows('ipv4')
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('goes in although one family of the name cannot be kept outside', async () => {
      await serve()
      await client.hosts({ 'peer.example': [SERVER6, SERVER] })
      // Without the network of the gateway no further route by that gateway is taken.
      await client.ip('-6', 'route', 'delete', '2001:db8:1::/64', 'dev', 'eth0')
      const tunnel = dial(EVERYTHING, `peer.example:${PORT}`)
      await tunnel.line(event('up'))
      expect(await kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await flows('ipv4', 'ipv6')
      await tunnel.stop()
      await client.ip('-6', 'route', 'add', '2001:db8:1::/64', 'dev', 'eth0', 'proto', 'kernel', 'metric', '256')
      await nothingIsLeft()
    })

    test('leaves neighbours and Unix sockets as they are', async () => {
      const near = await up(router, { addresses: innerOf('server'), bind: `192.0.2.2:${PORT}` })
      const neighbour = dial(EVERYTHING, `192.0.2.2:${PORT}`)
      await neighbour.line(event('up'))
      expect(await kept()).toEqual([])
      await neighbour.stop()
      await near.stop()
      const socket = await lab.path('routes.sock')
      await up(server, { addresses: innerOf('server'), bind: `unix:${socket}` })
      const local = dial(EVERYTHING, `unix:${socket}`)
      await local.line(event('up'))
      expect(await kept()).toEqual([])
      await flows('ipv4', 'ipv6')
      await local.stop()
      await nothingIsLeft()
    })

    test('what a killed tunnel left is removed by the next, whatever that routes', async () => {
      await serve()
      const killed = dial(EVERYTHING)
      await killed.line(event('up'))
      killed.signal('SIGKILL')
      await killed.exit()
      await until('the end of the TUN', 5000, async () => (await client.tuns()).length === 0)
      expect(await kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      const next = dial([])
      await next.line(event('up'))
      expect(await kept()).toEqual([])
      await next.stop()
      await nothingIsLeft()
    })

    test('what another tunnel that lives keeps outside stays', async () => {
      await serve()
      const first = dial(EVERYTHING)
      await first.line(event('up'))
      const second = zportal(client, ['up', ...flags({ name: 'zt1', addresses: [], connect: `${SERVER}:9` })])
      await second.line(event('connecting'))
      expect(await kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await second.stop()
      await flows('ipv4')
    })
  })

  describe('a device that is taken down', () => {
    /** Takes it down, and waits until what came of that has been looked at: then the addresses are back. */
    async function takeDown(): Promise<void> {
      await client.ip('link', 'set', 'zt0', 'down')
      await until('the addresses', 5000, async () => (await client.addresses('zt0')).length === 2)
      expect(await into()).toEqual([])
    }
    const takeUp = (): Promise<string> => client.ip('link', 'set', 'zt0', 'up')

    test('has its routes again when it is up', async () => {
      await serve()
      const tunnel = dial(EVERYTHING)
      await tunnel.line(event('up'))
      const whole = await into()
      expect(whole).toHaveLength(4)
      await takeDown()
      await takeUp()
      await until('the routes', 5000, async () => (await into()).length === whole.length)
      expect(await into()).toEqual(whole)
      expect(await kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await flows('ipv4', 'ipv6')
      expect(tunnel.stderr).not.toMatch(event('waiting'))
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('has its IPv6 addresses again, without any route too', async () => {
      await serve()
      const tunnel = dial([])
      await tunnel.line(event('up'))
      await takeDown()
      await takeUp()
      expect(await client.addresses('zt0')).toEqual(innerOf('client'))
      expect((await ping(client, INNER.server.ipv6)).received).toBe(10)
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('takes other routes meanwhile', async () => {
      const { tunnel, write } = await fromFile()
      await takeDown()
      write('198.51.100.0/24', '2001:db8:99::/48')
      await reload(0)
      expect(await into()).toEqual([])
      await takeUp()
      await until('the routes', 5000, async () => (await into()).length === 2)
      await flows('ipv4', 'ipv6')
      await tunnel.stop()
      await nothingIsLeft()
    })
  })

  describe('a name whose server would be inside', () => {
    /** A name server at the router, and a way to tell it. */
    async function names(): Promise<(name: string, ipv4: string) => Promise<void>> {
      const child = router.spawn([process.execPath, NAMES, NAME_SERVER])
      await child.line(/^ready$/)
      return async (name, ipv4) => {
        const after = child.lines.length
        child.stdin.write(`${name} ${ipv4}\n`)
        await child.line(/^told$/, { after })
      }
    }
    beforeAll(async () => {
      await router.address('lo', `${NAME_SERVER}/32`)
      await client.nameServer(NAME_SERVER)
      await server.address('eth0', '192.0.2.19/28')
    })

    test('is found before the first peer is there, and the server is inside from then on', async () => {
      const tell = await names()
      await tell('dyn.example', SERVER)
      await serve()
      const tunnel = dial(EVERYTHING, `dyn.example:${PORT}`)
      await tunnel.line(event('up'))
      expect(await into()).toContain('128.0.0.0/1')
      expect(await kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await flows('ipv4', 'ipv6')
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('is found at another address, where that changes while there is no peer', async () => {
      const tell = await names()
      await tell('dyn.example', SERVER)
      const before = await serve()
      const tunnel = dial(EVERYTHING, `dyn.example:${PORT}`)
      await tunnel.line(event('up'))
      const after = tunnel.lines.length
      await before.stop()
      await tunnel.line(event('waiting'), { after })
      await up(server, { addresses: innerOf('server'), bind: `192.0.2.19:${PORT}` })
      await tell('dyn.example', '192.0.2.19')
      await tunnel.line(event('up'), { after })
      expect(await kept()).toEqual(['192.0.2.19 via 192.0.2.2 dev eth0'])
      await flows('ipv4')
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('is found when it was not known at the start', async () => {
      const tell = await names()
      await serve()
      const tunnel = dial(EVERYTHING, `dyn.example:${PORT}`)
      await tunnel.line(/waiting .*reason=ZP_RESOLVE /)
      await until('the end of the question', 5000, async () => (await kept()).length === 0)
      await tell('dyn.example', SERVER)
      await tunnel.line(event('up'))
      await tunnel.stop()
      await nothingIsLeft()
    })
  })

  describe('a reload', () => {
    test('adds and removes while the session lives, and the stream stays outside', async () => {
      const { tunnel, write } = await fromFile()
      expect(await into()).toEqual([])

      write('0.0.0.0/0', '2001:db8:99::/48')
      expect((await reload(0)).stdout).toBe('zt0: applied route\n')
      expect(await into()).toEqual(['0.0.0.0/1', '128.0.0.0/1', '2001:db8:99::/48'])
      expect(await kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await flows('ipv4', 'ipv6')

      write('198.51.100.0/24')
      tunnel.signal('SIGHUP')
      await tunnel.line(/ info reloaded applied=route$/)
      expect(await into()).toEqual(['198.51.100.0/24'])
      expect(await kept()).toEqual([])
      await flows('ipv4')

      write()
      await reload(0)
      expect(await into()).toEqual([])
      expect(tunnel.stderr).not.toMatch(event('waiting'))
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('that is refused, by the options or by the kernel, leaves the routes as they were', async () => {
      const { tunnel, write } = await fromFile()
      write('198.51.100.0/24')
      await reload(0)
      write('198.51.100.7/24')
      expect((await reload(2)).stderr).toMatch(/^ZP_OPTION: .*client\.toml:4: route must .*198\.51\.100\.0\/24/)
      await client.ip('route', 'add', '203.0.113.0/24', 'via', '192.0.2.2')
      // The first of them is added before the second is refused.
      write('192.0.2.16/28', '203.0.113.0/24')
      expect((await reload(1)).stderr).toMatch(/^ZP_ROUTE_EXISTS: .*203\.0\.113\.0\/24/)
      expect(await into()).toEqual(['198.51.100.0/24'])
      expect(await kept()).toEqual([])
      await flows('ipv4')
      await client.ip('route', 'delete', '203.0.113.0/24')
      expect((await reload(0)).stdout).toBe('zt0: applied route\n')
      await tunnel.stop()
      await nothingIsLeft()
    })

    test('is no more than a start: a killed tunnel leaves what the next removes', async () => {
      const { tunnel, write } = await fromFile()
      write('0.0.0.0/0')
      await reload(0)
      tunnel.signal('SIGKILL')
      await tunnel.exit()
      await until('the end of the TUN', 5000, async () => (await client.tuns()).length === 0)
      expect(await kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      const next = dial([])
      await next.line(event('up'))
      expect(await kept()).toEqual([])
      await next.stop()
      await nothingIsLeft()
    })
  })

  describe('what is refused', () => {
    test.each([
      ['10.0.0.0', '10.0.0.0/24'],
      ['10.1.2.3/8', '10.0.0.0/8'],
      ['fd00::1/64', 'fd00::/64'],
      ['10.0.0.0/40', '32'],
    ])('%s', async (route, quoted) => {
      const child = dial(['--route', route])
      await child.exitsWith(2)
      expect(child.stderr).toMatch(/^ZP_OPTION: --route /)
      expect(child.stderr).toContain(quoted)
      expect(await client.tuns()).toEqual([])
    })

    test('a route that is there already', async () => {
      await client.ip('route', 'add', '128.0.0.0/1', 'via', '192.0.2.2')
      const child = dial(['--route', '0.0.0.0/0'])
      await child.exitsWith(1)
      expect(child.stderr).toMatch(/^ZP_ROUTE_EXISTS: .*128\.0\.0\.0\/1/m)
      expect(await client.tuns()).toEqual([])
      await client.ip('route', 'delete', '128.0.0.0/1')
      await nothingIsLeft()
    })
  })

  test('a server has routes too, and says who cannot reach it any more', async () => {
    await client.address('lo', '203.0.113.1/32')
    const serving = await up(server, {
      addresses: innerOf('server'),
      bind: `${SERVER}:${PORT}`,
      more: ['--route', '203.0.113.0/24'],
    })
    const tunnel = dial(['--route', '198.51.100.0/24'])
    await tunnel.line(event('up'))
    expect((await ping(server, '203.0.113.1')).received).toBe(10)
    await tunnel.stop()
    await serving.stop()
    const all = await up(server, { addresses: innerOf('server'), bind: `${SERVER}:${PORT}`, more: EVERYTHING })
    await all.line(/ warn notice .*code=routes .*more specific route/)
    await client.ip('address', 'delete', '203.0.113.1/32', 'dev', 'lo')
  })
})

/*
 * Routes into the tunnel where the ground moves: a device that somebody takes down, and a name whose server everything
 * is routed away from. The topology is that of harness/routed.ts.
 */
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { ping } from '../harness/ping.js'
import { EVERYTHING, routed, type Routed, SERVER } from '../harness/routed.js'
import { INNER, innerOf, PORT } from '../harness/topology.js'
import { event, up } from '../harness/zportal.js'

const NAMES = fileURLToPath(new URL('../harness/inside/names.mjs', import.meta.url))
/** The router's, and no neighbour's: whatever routes everything into a tunnel routes the way there as well. */
const NAME_SERVER = '203.0.113.53'

endToEnd('routes that come back', (lab) => {
  let at: Routed
  beforeAll(async () => {
    at = await routed(lab)
  })

  describe('a device that is taken down', () => {
    /** Takes it down, and waits until what came of that has been looked at: then the addresses are back. */
    async function takeDown(): Promise<void> {
      await at.client.ip('link', 'set', 'zt0', 'down')
      await until('the addresses', 5000, async () => (await at.client.addresses('zt0')).length === 2)
      expect(await at.into()).toEqual([])
    }
    const takeUp = (): Promise<string> => at.client.ip('link', 'set', 'zt0', 'up')

    test('has its routes again when it is up', async () => {
      await at.serve()
      const tunnel = at.dial(EVERYTHING)
      await tunnel.line(event('up'))
      const whole = await at.into()
      expect(whole).toHaveLength(4)
      await takeDown()
      await takeUp()
      await until('the routes', 5000, async () => (await at.into()).length === whole.length)
      expect(await at.into()).toEqual(whole)
      expect(await at.kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await at.flows('ipv4', 'ipv6')
      expect(tunnel.stderr).not.toMatch(event('waiting'))
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('has its IPv6 addresses again, without any route too', async () => {
      await at.serve()
      const tunnel = at.dial([])
      await tunnel.line(event('up'))
      await takeDown()
      await takeUp()
      expect(await at.client.addresses('zt0')).toEqual(innerOf('client'))
      expect((await ping(at.client, INNER.server.ipv6)).received).toBe(10)
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('takes other routes meanwhile', async () => {
      const { tunnel, write } = await at.fromFile()
      await takeDown()
      write('198.51.100.0/24', '2001:db8:99::/48')
      await at.reload(0)
      expect(await at.into()).toEqual([])
      await takeUp()
      await until('the routes', 5000, async () => (await at.into()).length === 2)
      await at.flows('ipv4', 'ipv6')
      await tunnel.stop()
      await at.nothingIsLeft()
    })
  })

  describe('a name whose server would be inside', () => {
    /** A name server at the router, and a way to tell it. */
    async function names(): Promise<(name: string, ipv4: string) => Promise<void>> {
      const child = at.router.spawn([process.execPath, NAMES, NAME_SERVER])
      await child.line(/^ready$/)
      return async (name, ipv4) => {
        const after = child.lines.length
        child.stdin.write(`${name} ${ipv4}\n`)
        await child.line(/^told$/, { after })
      }
    }
    beforeAll(async () => {
      await at.router.address('lo', `${NAME_SERVER}/32`)
      await at.client.nameServer(NAME_SERVER)
      await at.server.address('eth0', '192.0.2.19/28')
    })

    test('is found before the first peer is there, and the server is inside from then on', async () => {
      const tell = await names()
      await tell('dyn.example', SERVER)
      await at.serve()
      const tunnel = at.dial(EVERYTHING, `dyn.example:${PORT}`)
      await tunnel.line(event('up'))
      expect(await at.into()).toContain('128.0.0.0/1')
      expect(await at.kept()).toEqual([`${SERVER} via 192.0.2.2 dev eth0`])
      await at.flows('ipv4', 'ipv6')
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('is found at another address, where that changes while there is no peer', async () => {
      const tell = await names()
      await tell('dyn.example', SERVER)
      const before = await at.serve()
      const tunnel = at.dial(EVERYTHING, `dyn.example:${PORT}`)
      await tunnel.line(event('up'))
      const after = tunnel.lines.length
      await before.stop()
      await tunnel.line(event('waiting'), { after })
      await up(at.server, { addresses: innerOf('server'), bind: `192.0.2.19:${PORT}` })
      await tell('dyn.example', '192.0.2.19')
      await tunnel.line(event('up'), { after })
      expect(await at.kept()).toEqual(['192.0.2.19 via 192.0.2.2 dev eth0'])
      await at.flows('ipv4')
      await tunnel.stop()
      await at.nothingIsLeft()
    })

    test('is found when it was not known at the start', async () => {
      const tell = await names()
      await at.serve()
      const tunnel = at.dial(EVERYTHING, `dyn.example:${PORT}`)
      await tunnel.line(/waiting .*reason=ZP_RESOLVE /)
      await until('the end of the question', 5000, async () => (await at.kept()).length === 0)
      await tell('dyn.example', SERVER)
      await tunnel.line(event('up'))
      await tunnel.stop()
      await at.nothingIsLeft()
    })
  })
})

/*
 * How a tunnel is ended from outside: by SIGINT and SIGTERM, which leave nothing, and by SIGKILL, which
 * leaves a socket file that the next server takes over.
 *
 *     ┌─ server ─────────────┐                       ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══════ tunnel ══════ │ zt0  10.10.0.2       │
 *     │      unix:…/zp.sock ◄┼── the file system ────┼─►                    │
 *     │ eth0 192.0.2.1       ├──────── veth ─────────┤ eth0 192.0.2.2       │
 *     └──────────────────────┘                       └──────────────────────┘
 */
import { existsSync, lstatSync, writeFileSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { constants } from 'node:os'

import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

/** The promise: a signal ends the program within this time, everything of it gone. */
const END_MS = 1000

/** An address on the cable that nobody has: a dial to it hangs until the kernel gives up on ARP. */
const NOBODY = '192.0.2.99'

endToEnd('the end by a signal', (lab) => {
  let hosts: Pair
  let socketFile: string
  beforeAll(async () => {
    hosts = await twoHosts(lab)
    socketFile = await lab.path('zp.sock')
  })

  const serve = (): Promise<Child> => up(hosts.server, { addresses: innerOf('server'), bind: `unix:${socketFile}` })
  const dial = (): Promise<Child> => up(hosts.client, { addresses: innerOf('client'), connect: `unix:${socketFile}` })

  describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
    async function endsAtOnce(child: Child): Promise<void> {
      const startedAt = performance.now()
      child.signal(signal)
      await child.exitsWith(0)
      expect(performance.now() - startedAt).toBeLessThan(END_MS)
    }

    test('ends a server that waits for its first peer', async () => {
      const server = await serve()
      expect(lstatSync(socketFile).isSocket()).toBe(true)
      await endsAtOnce(server)
      expect(await hosts.server.tuns()).toEqual([])
      expect(existsSync(socketFile)).toBe(false)
    })

    test('ends a server and a client with traffic between them', async () => {
      const server = await serve()
      const client = await dial()
      const traffic = hosts.client.spawn(['ping', '-q', '-f', '-s', '1300', INNER.server.ipv4])
      await until('traffic through the tunnel', 5000, async () => {
        return (await hosts.server.counters('zt0')).received.packets > 1000
      })
      await endsAtOnce(client)
      expect(await hosts.client.tuns()).toEqual([])
      await server.line(event('waiting'))
      await endsAtOnce(server)
      expect(await hosts.server.tuns()).toEqual([])
      expect(existsSync(socketFile)).toBe(false)
      await traffic.stop()
    })

    test('ends a client that is still dialling', async () => {
      const end = { addresses: innerOf('client'), connect: `${NOBODY}:${PORT}` }
      const client = zportal(hosts.client, ['up', ...flags(end)])
      await client.line(event('connecting'))
      await endsAtOnce(client)
      expect(await hosts.client.tuns()).toEqual([])
    })

    test('twice in a row: at once, and still nothing is left', async () => {
      const server = await serve()
      const startedAt = performance.now()
      server.signal(signal)
      server.signal(signal)
      // The second may come while the first is being obeyed: then it says so in the exit code.
      expect([0, 128 + constants.signals[signal]]).toContain((await server.exit()).code)
      expect(performance.now() - startedAt).toBeLessThan(END_MS)
      expect(await hosts.server.tuns()).toEqual([])
      expect(existsSync(socketFile)).toBe(false)
    })
  })

  test('the other end hears of it: a client that dials once ends with the reason', async () => {
    const server = await serve()
    const connect = `unix:${socketFile}`
    const client = await up(hosts.client, { addresses: innerOf('client'), connect, more: ['--once'] })
    server.signal('SIGTERM')
    await server.exitsWith(0)
    await client.exitsWith(1)
    expect(client.stderr).toContain('ZP_PEER_CLOSED')
    expect(await hosts.client.tuns()).toEqual([])
  })

  test('SIGKILL leaves a socket file and nothing else, and the next server takes it over', async () => {
    const killed = await serve()
    killed.signal('SIGKILL')
    expect(await killed.exit()).toEqual({ code: null, signal: 'SIGKILL' })
    await until('the end of the TUN', 1000, async () => (await hosts.server.tuns()).length === 0)
    expect(lstatSync(socketFile).isSocket()).toBe(true)

    await serve()
    await dial()
    expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
  })

  test('SIGKILL of the client is the end of its connection, and the server waits for the next', async () => {
    const server = await serve()
    const killed = await dial()
    await server.line(event('up'))
    killed.signal('SIGKILL')
    await server.line(event('waiting'))
    await dial()
    expect((await ping(hosts.client, INNER.server.ipv6)).received).toBe(10)
  })

  test('a socket file whose server lives is not taken over', async () => {
    const first = await serve()
    const second = zportal(hosts.client, ['up', ...flags({ addresses: [], bind: `unix:${socketFile}` })])
    await second.exitsWith(1)
    expect(second.stderr).toContain('ZP_BIND_IN_USE')
    expect(first.running).toBe(true)
    await dial()
    expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
  })

  test('a file that is no socket is not touched', async () => {
    writeFileSync(socketFile, 'precious')
    const server = zportal(hosts.server, ['up', ...flags({ addresses: [], bind: `unix:${socketFile}` })])
    await server.exitsWith(1)
    expect(server.stderr).toMatch(/ZP_BIND\b/)
    expect(lstatSync(socketFile)).toMatchObject({ size: 'precious'.length })
    await unlink(socketFile)
  })
})

/*
 * `zportald`, the drop-in for the original: its flags, its exit habit, and its other end may be
 * `zportal up`, another `zportald`, or an original.
 *
 *     ┌─ server ─────────────┐                 ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══ tunnel ════ │ zt0  10.10.0.2       │
 *     │      fd00:10::1      │                 │      fd00:10::2      │
 *     │ eth0 192.0.2.1:7000  ├───── veth ──────┤ eth0 192.0.2.2       │
 *     └──────────────────────┘                 └──────────────────────┘
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { beforeAll, describe, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { Original } from '../harness/original.js'
import { ping } from '../harness/ping.js'
import { INNER, innerOf, OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { transfer } from '../harness/transfer.js'
import { flags, ROOT, up, zportald, ZPORTALD } from '../harness/zportal.js'

const SERVER = `${OUTER.server.ipv4}:${PORT}`
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }

endToEnd('zportald', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  describe.each([
    ['zportald', zportald, 'zportal up', up],
    ['zportal up', up, 'zportald', zportald],
    ['zportald', zportald, 'zportald', zportald],
  ])('%s serves', (_ours, serve, theirs, dial) => {
    test(theirs, async () => {
      const server = await serve(hosts.server, { addresses: innerOf('server'), bind: SERVER })
      const client = await dial(hosts.client, { addresses: innerOf('client'), connect: SERVER })
      for (const family of ['ipv4', 'ipv6'] as const) {
        expect((await ping(hosts.client, INNER.server[family])).received).toBe(10)
      }
      const { sent, received } = await transfer(hosts.client, {
        namespace: hosts.server,
        address: INNER.server.ipv4,
      })
      expect(received).toEqual(sent)
      for (const end of [client, server]) {
        end.signal('SIGTERM')
        await end.exitsWith(0, 1000)
      }
      expect(await hosts.server.tuns()).toEqual([])
      expect(await hosts.client.tuns()).toEqual([])
    })
  })

  test('serves an original', async () => {
    const path = await lab.path('original.sock')
    await zportald(hosts.server, { addresses: innerOf('server'), bind: `unix:${path}` })
    await using original = await Original.dial(path, { mtuBytes: 1400, inner: [INNER.client.ipv4] })
    await original.ping(INNER.server.ipv4)
    expect((await ping(hosts.server, INNER.client.ipv4)).received).toBe(10)
  })

  test('-h explains the flags and exits with 0', async () => {
    const help = hosts.server.spawn([...ZPORTALD, '-h'])
    await help.exitsWith(0)
    for (const flag of ['-n', '-m', '-a', '-b', '-c', '-p', '-h', '-v']) expect(help.stdout).toContain(flag)
  })

  test('-v says the version and exits with 0', async () => {
    const said = hosts.server.spawn([...ZPORTALD, '-v'])
    await said.exitsWith(0)
    expect(said.stdout).toContain(version)
  })

  test('exits with 1 when its peer leaves', async () => {
    const server = await up(hosts.server, { addresses: innerOf('server'), bind: SERVER })
    const client = await zportald(hosts.client, { addresses: innerOf('client'), connect: SERVER })
    server.signal('SIGTERM')
    await client.exitsWith(1)
    expect(client.stderr).toContain('ZP_PEER_CLOSED')
  })

  test('has no long flags', async () => {
    const [short, ...rest] = flags({ addresses: [], bind: SERVER })
    expect(short).toBe('-n')
    const child = hosts.server.spawn([...ZPORTALD, '--name', ...rest])
    await child.exitsWith(1)
    expect(child.stderr).toContain('--name')
  })
})

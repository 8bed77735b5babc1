/*
 * A tunnel as a service: it says how it stands, and needs no more than CAP_NET_ADMIN.
 *
 *     ┌─ server ─────────────┐        ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │        │ zt0  10.10.0.2       │
 *     │ eth0 192.0.2.1       ├─ veth ─┤ eth0 192.0.2.2       │
 *     └──────────────────────┘        └──────────────────────┘
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { INNER, innerOf, OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { event, flags, up, ZPORTAL, zportal } from '../harness/zportal.js'

const NOTIFY_SOCKET = fileURLToPath(new URL('../harness/inside/notify-socket.pl', import.meta.url))
/** CAP_NET_ADMIN alone, as /proc writes it (linux/capability.h). */
const ONLY_NET_ADMIN = (1n << 12n).toString(16).padStart(16, '0')

endToEnd('a service', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  describe('the service manager', () => {
    /** What it is told, from a process whose socket it is. */
    async function manager(socket: string): Promise<Child> {
      const child = hosts.server.spawn(['perl', NOTIFY_SOCKET, socket])
      await child.line(/^ready$/)
      return child
    }

    test.each(['a path', 'an abstract name'])('is told at %s how a server stands', async (kind) => {
      const socket = kind === 'a path' ? await lab.path('notify') : `@${lab.owner}-notify`
      const told = await manager(socket)
      const end = { addresses: innerOf('server'), bind: `unixa:${lab.owner}-service` }
      const server = zportal(hosts.server, ['up', ...flags(end)], {
        env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' },
      })
      await told.line(/^READY=1 \| STATUS=listening on unixa:/)
      await told.line(/^WATCHDOG=1$/)
      const client = await up(hosts.server, { name: 'zt1', addresses: [], connect: `unixa:${lab.owner}-service` })
      await told.line(/^STATUS=up with /)
      await client.stop()
      await told.line(/^STATUS=waiting: ZP_PEER_CLOSED: /)
      await told.line(/^WATCHDOG=1$/, { after: told.lines.length })
      server.signal('SIGTERM')
      await told.line(/^STOPPING=1 \| STATUS=closing$/)
      await server.exitsWith(0)
      expect(told.lines.filter(({ text }) => text.includes('READY=1'))).toHaveLength(1)
      await told.stop()
      if (kind === 'a path') execFileSync('rm', [socket])
    })

    test('hears of a client only when traffic can flow', async () => {
      const socket = await lab.path('notify')
      const told = await manager(socket)
      const end = { addresses: innerOf('client'), connect: `${OUTER.server.ipv4}:${PORT}` }
      const client = zportal(hosts.client, ['up', ...flags(end)], { env: { NOTIFY_SOCKET: socket } })
      await told.line(/^STATUS=waiting: ZP_DIAL_REFUSED: /)
      expect(told.stdout).not.toContain('READY=1')
      await up(hosts.server, { addresses: innerOf('server'), bind: `${OUTER.server.ipv4}:${PORT}` })
      await told.line(/^READY=1 \| STATUS=up with /)
      expect((await ping(hosts.client, INNER.server.ipv4)).received).toBe(10)
      await client.stop()
      expect(told.stdout).not.toContain('WATCHDOG')
      await told.stop()
      execFileSync('rm', [socket])
    })

    test('hears of the end before the last hook runs, whoever wants the end', async () => {
      const [socket, heard] = [await lab.path('notify'), await lab.path('heard')]
      const told = await manager(socket)
      const last = ['--hook-down', `until [ -e ${heard} ]; do sleep 0.02; done; echo it was heard`]
      const end = { addresses: innerOf('server'), bind: `unixa:${lab.owner}-service`, more: last }
      const server = zportal(hosts.server, ['up', ...flags(end)], { env: { NOTIFY_SOCKET: socket } })
      await server.line(event('listening'))
      await up(hosts.server, { name: 'zt1', addresses: [], connect: `unixa:${lab.owner}-service` })
      await server.line(event('up'))
      const down = zportal(hosts.server, ['down', 'zt0'])
      await told.line(/^STOPPING=1 \| STATUS=closing$/)
      writeFileSync(heard, '')
      await server.line(/code=hook-down detail="it was heard"/)
      await down.exitsWith(0)
      await server.exitsWith(0)
      await told.stop()
      execFileSync('rm', [socket])
    })

    test('that is not there does not keep the tunnel from working', async () => {
      const end = { addresses: innerOf('server'), bind: `unixa:${lab.owner}-service` }
      const env = { NOTIFY_SOCKET: '/nowhere/notify' }
      const server = zportal(hosts.server, ['up', ...flags(end)], { env })
      await server.line(event('listening'))
      await server.line(/service-manager .*\/nowhere\/notify/)
      await server.stop()
    })
  })

  test('a user with CAP_NET_ADMIN and nothing else can run both ends', async ({ skip }) => {
    skip(
      !othersReach(ZPORTAL[0] ?? '') || !othersReach(ZPORTAL[1] ?? ''),
      'others cannot enter the folder of this clone',
    )
    const by = [
      // Where no udev has done it, the device is root's alone.
      ...['sh', '-c', 'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"', 'sh'],
      ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'],
      ...['--inh-caps=-all,+net_admin', '--ambient-caps=-all,+net_admin', '--bounding-set=-all,+net_admin', '--'],
    ]
    const at = { server: hosts.server, client: hosts.client }
    const serverEnd = { addresses: innerOf('server'), bind: `${OUTER.server.ipv4}:${PORT}` }
    const clientEnd = { addresses: innerOf('client'), connect: `${OUTER.server.ipv4}:${PORT}` }
    const server = at.server.spawn([...by, ...ZPORTAL, 'up', ...flags(serverEnd)])
    await server.line(event('listening'))
    const client = at.client.spawn([...by, ...ZPORTAL, 'up', ...flags(clientEnd)])
    await client.line(event('up'))
    for (const { pid } of [server, client]) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(status).toMatch(`${set}:\t${ONLY_NET_ADMIN}\n`)
      expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m)
      expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    }
    expect((await ping(at.client, INNER.server.ipv4)).received).toBe(10)
    expect((await ping(at.client, INNER.server.ipv6)).received).toBe(10)
    // Nothing that it may not read is missed.
    expect(server.stderr + client.stderr).not.toContain('EACCES')
    await client.stop()
    await server.stop()
  })
})

/** Every user may enter the folders on the way. */
function othersReach(path: string): boolean {
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
  }
  return true
}

/*
 * A tunnel as a service: the unit is one that systemd takes, the tunnel says how it stands, and it needs no more than
 * CAP_NET_ADMIN.
 *
 *     ┌─ server ─────────────┐        ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │        │ zt0  10.10.0.2       │
 *     │ eth0 192.0.2.1       ├─ veth ─┤ eth0 192.0.2.2       │
 *     └──────────────────────┘        └──────────────────────┘
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
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
/** What the unit keeps to itself: systemd's own measure, from 0 (nothing is open) to 100. */
const EXPOSURE_MAX = 20

const hasSystemd = runs('systemd-analyze', '--version')

endToEnd('a service', (lab) => {
  let hosts: Pair
  let configs: string
  beforeAll(async () => {
    hosts = await twoHosts(lab)
    configs = await lab.path('configs')
    mkdirSync(configs)
    writeFileSync(join(configs, 'lab.toml'), `address = "10.10.0.2/24"\nconnect = "${OUTER.server.ipv4}:${PORT}"\n`)
  })

  const service = (...args: string[]): Child =>
    lab.spawn([...ZPORTAL, 'service', ...args], { env: { ZPORTAL_CONFIG_DIR: configs } })

  describe('the unit', () => {
    test('is one that systemd takes, and that leaves little open', async ({ skip }) => {
      skip(!hasSystemd, 'there is no systemd-analyze')
      const folder = await lab.path('verify')
      const installed = service('install', 'lab', '--unit-dir', folder)
      await installed.exitsWith(0)
      const unit = join(folder, 'zportal@lab.service')
      // It warns on stderr and exits with 0 for an assignment that it does not know.
      const verified = lab.spawn(['systemd-analyze', 'verify', '--man=no', unit])
      await verified.exitsWith(0)
      expect(verified.stderr.split('\n').filter((line) => line.includes('zportal'))).toEqual([])
      const secured = [
        'systemd-analyze',
        'security',
        '--offline=yes',
        '--no-pager',
        `--threshold=${EXPOSURE_MAX}`,
        unit,
      ]
      await lab.spawn(secured).exitsWith(0)
      // And a unit with a word wrong is not taken.
      const wrong = join(folder, 'zportal@wrong.service')
      writeFileSync(wrong, readFileSync(unit, 'utf8').replace('ProtectSystem=', 'ProtectSistem='))
      const refused = lab.spawn(['systemd-analyze', 'verify', '--man=no', wrong])
      await refused.exit()
      expect(refused.stderr).toContain('ProtectSistem')
    })

    test('is printed, written where it belongs, and written again', async () => {
      const printed = service('print', 'lab')
      await printed.exitsWith(0)
      const folder = await lab.path('units')
      const dry = service('install', 'lab', '--dry-run', '--unit-dir', folder)
      await dry.exitsWith(0)
      expect(existsSync(folder)).toBe(false)
      expect(dry.stdout).toBe(`# would be written to ${folder}/zportal@lab.service\n${printed.stdout}`)
      for (let time = 0; time < 2; time += 1) {
        const installed = service('install', 'lab', '--unit-dir', folder)
        await installed.exitsWith(0)
        expect(installed.stdout).toContain('systemctl enable --now zportal@lab')
        expect(readdirSync(folder)).toEqual(['zportal@lab.service'])
        expect(readFileSync(join(folder, 'zportal@lab.service'), 'utf8')).toBe(printed.stdout)
        expect(statSync(join(folder, 'zportal@lab.service')).mode & 0o777).toBe(0o644)
      }
    })

    test('of somebody else is not overwritten', async () => {
      const folder = await lab.path('theirs')
      mkdirSync(folder)
      const unit = join(folder, 'zportal@lab.service')
      writeFileSync(unit, '[Unit]\n')
      const refused = service('install', 'lab', '--unit-dir', folder)
      await refused.exitsWith(1)
      expect(refused.stderr).toMatch(/^ZP_SERVICE: .*zportal@lab\.service/)
      expect(readFileSync(unit, 'utf8')).toBe('[Unit]\n')
    })

    test('needs a config that is there and that its user can use', async () => {
      const none = service('print', 'nowhere')
      await none.exitsWith(2)
      expect(none.stderr).toMatch(/^ZP_CONFIG: /)
      expect(none.stdout).toBe('')

      writeFileSync(join(configs, 'secret.password'), 'hush\n', { mode: 0o600 })
      const proxy = (reference: string) =>
        `connect = "server.example:7000"\nproxy = ["192.0.2.9:1080"]\ncongestion = "${reference}"\n`
      writeFileSync(join(configs, 'secret.toml'), proxy('${file:secret.password}'))
      const refused = service('print', 'secret')
      await refused.exitsWith(1)
      expect(refused.stderr).toMatch(/^ZP_SERVICE: .*secret\.password.*credential/)

      writeFileSync(join(configs, 'secret.toml'), proxy('${credential:hush}'))
      chmodSync(join(configs, 'secret.toml'), 0o600)
      writeFileSync(join(configs, 'tmp.toml'), 'bind = "unix:/tmp/zt.sock"\n')
      const hidden = service('print', 'tmp')
      await hidden.exitsWith(1)
      expect(hidden.stderr).toMatch(/^ZP_SERVICE: .*unix:\/tmp\/zt\.sock/)

      const taken = service('print', 'secret')
      await taken.exitsWith(0)
      expect(taken.stdout).toContain(`\nLoadCredential=hush:${configs}/credentials/hush\n`)
      expect(taken.stdout).toContain(`\nLoadCredential=secret.toml:${configs}/secret.toml\n`)
    })

    test('may write where the sockets lie, and knows no password', async () => {
      const sockets = ['control = "/srv/a/zt.sock"', 'connect = "unix:/srv/b/peer"']
      const proxy =
        'proxy = ["http+unix://alice:${file:/etc/hostname}@/srv/c/proxy", "socks5+unix://bob:sesame@/srv/d/p"]'
      writeFileSync(join(configs, 'sockets.toml'), [...sockets.slice(0, 1), 'connect = "h:1"', proxy].join('\n'))
      const printed = service('print', 'sockets')
      await printed.exitsWith(0)
      const writable = printed.stdout.split('\n').filter((line) => line.startsWith('ReadWritePaths='))
      expect(writable).toEqual(['/srv/c', '/srv/d', '/srv/a'].map((folder) => `ReadWritePaths=-${folder}`))
      expect(printed.stdout).not.toContain('sesame')
      writeFileSync(join(configs, 'sockets.toml'), sockets.join('\n'))
      const plain = service('print', 'sockets')
      await plain.exitsWith(0)
      expect(plain.stdout).toContain('ReadWritePaths=-/srv/b\nReadWritePaths=-/srv/a\n')
    })

    test.each([
      ['a password file', 'proxy-password-file = "SECRET"', /SECRET.*proxy-password-file.*credential/],
      ['the second of two', 'name = "${file:OPEN}"\ncongestion = "${file:SECRET}"', /SECRET.*credential/],
    ])('is refused where its user could not read %s', async (_name, lines, sentence) => {
      const folder = await lab.path('private')
      mkdirSync(folder)
      for (const [name, mode] of [
        ['secret', 0o600],
        ['open', 0o644],
      ] as const) {
        writeFileSync(join(folder, name), '1\n', { mode })
      }
      const config = lines.replaceAll('SECRET', join(folder, 'secret')).replaceAll('OPEN', '/etc/hostname')
      writeFileSync(join(configs, 'private.toml'), `connect = "h:1"\nproxy = ["192.0.2.9:1080"]\n${config}\n`)
      const refused = service('print', 'private')
      await refused.exitsWith(1)
      expect(refused.stderr.replaceAll(join(folder, 'secret'), 'SECRET')).toMatch(sentence)
      execFileSync('rm', ['-r', folder])
    })

    test('leaves what its hooks say to the shell, and a config in a closed folder to systemd', async () => {
      const hook = 'hook-up = "echo ${file:-none} ${credential:-none}"'
      writeFileSync(join(configs, 'hooks.toml'), `connect = "h:1"\n${hook}\n`)
      const printed = service('print', 'hooks')
      await printed.exitsWith(0)
      expect(printed.stdout).not.toContain('credentials/')
      chmodSync(configs, 0o700)
      const closed = service('print', 'hooks')
      await closed.exitsWith(0)
      expect(closed.stdout).toContain(`\nLoadCredential=hooks.toml:${configs}/hooks.toml\n`)
      chmodSync(configs, 0o755)
    })
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

function runs(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Every user may enter the folders on the way. */
function othersReach(path: string): boolean {
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
  }
  return true
}

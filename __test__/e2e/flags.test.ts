/*
 * What bad input gets: a sentence that quotes it, an exit code, and nothing created. And what a system
 * that forbids something gets: the code and the cure of exactly that.
 *
 *     ┌─ server ─────────────┐        ┌─ client ─────────────┐
 *     │ zt0  (never there    │        │ a program that holds │
 *     │       afterwards)    │        │ the address          │
 *     │ eth0 192.0.2.1       ├─ veth ─┤ eth0 192.0.2.2       │
 *     └──────────────────────┘        └──────────────────────┘
 */
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { flags, up, ZPORTAL, zportal, ZPORTALD } from '../harness/zportal.js'

const FORBID_IO_URING = fileURLToPath(new URL('../harness/inside/forbid-io-uring.pl', import.meta.url))

const BIND = `${OUTER.server.ipv4}:${PORT}`
const GOOD = ['-n', 'zt0', '-m', '1400', '-a', '10.10.0.1/24', '-b', BIND]
const LONG_PATH = `/tmp/${'x'.repeat(110)}`

/** Arguments that are wrong for both commands, and what the sentence must quote. */
const WRONG: Record<string, { args: string[]; quotes: string[] }> = {
  'neither -b nor -c': { args: ['-n', 'zt0', '-a', '10.10.0.1/24'], quotes: ['-b', '-c'] },
  'both -b and -c': { args: [...GOOD, '-c', '192.0.2.2:7000'], quotes: [BIND, '192.0.2.2:7000'] },
  'an MTU that is no number': { args: ['-m', 'large', '-b', BIND], quotes: ['large', '68', '65535'] },
  'an MTU with something behind': { args: ['-m', '1400x', '-b', BIND], quotes: ['1400x'] },
  'an MTU of half a byte': { args: ['-m', '1400.5', '-b', BIND], quotes: ['1400.5'] },
  'an MTU below the least': { args: ['-m', '67', '-b', BIND], quotes: ['67', '68'] },
  'an MTU above the largest': { args: ['-m', '65536', '-b', BIND], quotes: ['65536', '65535'] },
  'an MTU too small for IPv6': { args: ['-m', '1279', '-a', 'fd00::1/64', '-b', BIND], quotes: ['1279', '1280'] },
  'a name too long': { args: ['-n', 'sixteen-letters-', '-b', BIND], quotes: ['sixteen-letters-', '15'] },
  'a name with a slash': { args: ['-n', 'a/b', '-b', BIND], quotes: ['a/b'] },
  'a name with a space': { args: ['-n', 'a b', '-b', BIND], quotes: ['a b'] },
  'an empty name': { args: ['-n', '', '-b', BIND], quotes: ['""'] },
  'an address without prefix length': { args: ['-a', '10.10.0.1', '-b', BIND], quotes: ['10.10.0.1', '10.10.0.1/24'] },
  'a prefix too long': { args: ['-a', '10.10.0.1/33', '-b', BIND], quotes: ['10.10.0.1/33', '32'] },
  'an IPv6 prefix too long': { args: ['-a', 'fd00::1/129', '-b', BIND], quotes: ['fd00::1/129', '128'] },
  'an address that is none': { args: ['-a', 'ten/24', '-b', BIND], quotes: ['ten/24'] },
  'an octet too large': { args: ['-a', '10.10.0.256/24', '-b', BIND], quotes: ['10.10.0.256/24'] },
  'an address twice': { args: ['-a', '10.10.0.1/24', '-a', '10.10.0.1/24', '-b', BIND], quotes: ['10.10.0.1'] },
  'no port': { args: ['-b', '192.0.2.1'], quotes: ['192.0.2.1'] },
  'a port too large': { args: ['-b', '192.0.2.1:65536'], quotes: ['192.0.2.1:65536', '65535'] },
  'port 0 to dial': { args: ['-c', '192.0.2.1:0'], quotes: ['192.0.2.1:0'] },
  'a port that is no number': { args: ['-c', '192.0.2.1:http'], quotes: ['192.0.2.1:http'] },
  'no host': { args: ['-c', ':7000'], quotes: [':7000'] },
  'an IPv6 address without brackets': { args: ['-c', '2001:db8::1:7000'], quotes: ['2001:db8::1:7000'] },
  'no path behind unix:': { args: ['-b', 'unix:'], quotes: ['unix:'] },
  'no name behind unixa:': { args: ['-b', 'unixa:'], quotes: ['unixa:'] },
  'a path too long for a socket': { args: ['-b', `unix:${LONG_PATH}`], quotes: [LONG_PATH.slice(0, 80), '107'] },
  'a proxy for a server': { args: [...GOOD, '-p', '192.0.2.9:1080'], quotes: ['-p'] },
  'a proxy that is no address': { args: ['-c', '192.0.2.2:7000', '-p', 'nonsense'], quotes: ['nonsense'] },
  'a Unix socket behind a proxy': { args: ['-c', 'unix:/tmp/x', '-p', '192.0.2.9:1080'], quotes: ['unix:/tmp/x'] },
  'a flag that does not exist': { args: [...GOOD, '--loud'], quotes: ['--loud'] },
  'a flag without its value': { args: ['-b', BIND, '-m'], quotes: ['-m'] },
  'a word too many': { args: [...GOOD, 'please'], quotes: ['please'] },
}

/** What only `zportal up` has. */
const WRONG_FOR_UP: Record<string, { args: string[]; quotes: string[] }> = {
  'a dial timeout that is no number': { args: ['-c', BIND, '--dial-timeout', 'soon'], quotes: ['soon'] },
  'a dial timeout of nothing': { args: ['-c', BIND, '--dial-timeout', '0'], quotes: ['0'] },
  'a dial timeout for a server': { args: [...GOOD, '--dial-timeout', '5'], quotes: ['--dial-timeout'] },
}

endToEnd('what is refused', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  describe.each([
    { command: 'zportal up', program: [...ZPORTAL, 'up'], code: 2, cases: { ...WRONG, ...WRONG_FOR_UP } },
    { command: 'zportald', program: ZPORTALD, code: 1, cases: WRONG },
  ])('$command', ({ program, code, cases }) => {
    test.each(Object.entries(cases))('%s', async (_name, { args, quotes }) => {
      const child = hosts.server.spawn([...program, ...args])
      await child.exitsWith(code)
      expect(await hosts.server.tuns()).toEqual([])
      expect(child.stdout).toBe('')
      for (const quoted of quotes) expect(child.stderr).toContain(quoted)
      // A sentence for people, not a trace.
      expect(child.stderr).not.toMatch(/^\s+at /m)
      expect(child.lines.length).toBeLessThan(6)
    })
  })

  test('zportal without a command, or with one that does not exist', async () => {
    const unknown = zportal(hosts.server, ['fly'])
    await unknown.exitsWith(2)
    expect(unknown.stderr).toContain('fly')
  })

  // The rest of a script that a shell reads from there is no argument.
  test.each(['up', 'status', 'config check', 'service print'])('%s lets stdin be', async (command) => {
    const child = zportal(hosts.server, command.split(' '))
    child.stdin.end('echo next\n')
    const { code } = await child.exit()
    expect(code).not.toBe(0)
    expect(child.stderr).not.toContain('next')
  })

  describe('what the system refuses', () => {
    const GOOD_UP = [...ZPORTAL, 'up', ...GOOD]
    const GOOD_D = [...ZPORTALD, ...GOOD]

    /** Runs a command that must fail with a code and a cure, and that leaves nothing. */
    async function refused(command: string[], code: string, cure: RegExp): Promise<void> {
      const before = await hosts.server.tuns()
      const child = hosts.server.spawn(command)
      await child.exitsWith(1)
      expect(await hosts.server.tuns()).toEqual(before)
      expect(child.stderr).toMatch(new RegExp(`^${code}: .*`, 'm'))
      expect(child.stderr).toMatch(cure)
      expect(child.stderr).not.toMatch(/^\s+at /m)
    }

    describe.each([
      ['zportal up', GOOD_UP],
      ['zportald', GOOD_D],
    ])('%s', (_name, good) => {
      test('no CAP_NET_ADMIN', async () => {
        const without = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', '--']
        await refused([...without, ...good], 'ZP_TUN_PERMISSION', /CAP_NET_ADMIN/)
      })

      test('no /dev/net/tun', async () => {
        const without = ['sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh']
        await refused([...without, ...good], 'ZP_TUN_MISSING', /modprobe tun.*--device \/dev\/net\/tun/)
      })

      test('io_uring forbidden', async () => {
        await refused(['perl', FORBID_IO_URING, ...good], 'ZP_IO_URING', /seccomp/)
      })

      test('the address in use', async () => {
        const holder = await up(hosts.server, { name: 'holder', addresses: [], bind: BIND })
        await refused(good, 'ZP_BIND_IN_USE', new RegExp(BIND.replaceAll('.', '\\.')))
        await holder.stop()
      })
    })

    test('the name taken by a running tunnel', async () => {
      const holder = await up(hosts.server, { addresses: [], bind: `${OUTER.server.ipv4}:${PORT + 1}` })
      await refused(GOOD_UP, 'ZP_TUN_NAME_TAKEN', /zt0 exists already: choose another name/)
      expect(holder.running).toBe(true)
      await holder.stop()
    })

    test('the name taken by another kind of device', async () => {
      await hosts.server.ip('link', 'add', 'zt0', 'type', 'veth', 'peer', 'name', 'zt0-peer')
      await refused(GOOD_UP, 'ZP_TUN_NAME_TAKEN', /zt0 exists already: choose another name/)
      expect(await hosts.server.ip('link', 'show', 'zt0')).toContain('zt0')
      await hosts.server.ip('link', 'delete', 'zt0')
    })

    test.each([
      ['zportal up', GOOD_UP],
      ['zportald', GOOD_D],
    ])('%s and the name of a persistent TUN, which keeps what it has', async (_name, good) => {
      const look = async () => [await hosts.server.ip('addr', 'show', 'zt0'), await hosts.server.ip('route')]
      await hosts.server.ip('tuntap', 'add', 'zt0', 'mode', 'tun')
      await hosts.server.ip('addr', 'add', '10.77.0.1/24', 'dev', 'zt0')
      await hosts.server.ip('link', 'set', 'zt0', 'up')
      const before = await look()
      await refused(good, 'ZP_TUN_NAME_TAKEN', /zt0 exists already: choose another name.*ip tuntap del zt0 mode tun/)
      expect(await look()).toEqual(before)
      await hosts.server.ip('tuntap', 'del', 'zt0', 'mode', 'tun')
    })

    test('an address that no interface has', async () => {
      await refused([...ZPORTAL, 'up', ...flags({ addresses: [], bind: '192.0.2.77:7000' })], 'ZP_BIND', /0\.0\.0\.0/)
    })

    test('a directory that does not exist', async () => {
      const bind = `unix:${await lab.path('nowhere/zp.sock')}`
      await refused([...ZPORTAL, 'up', ...flags({ addresses: [], bind })], 'ZP_BIND', /does not exist/)
    })
  })
})

/*
 * What `zportal doctor` finds where something stands in the way for real, and that it leaves nothing.
 *
 *     ┌ client ┐   ┌ proxy 1 ┐   ┌ proxy 2 ┐   ┌ server ┐
 *     │     .1 ├───┤ .2  .17 ├───┤ .18 .33 ├───┤ .34    │     192.0.2.0/28, .16/28, .32/28
 *     └────────┘   └─────────┘   └─────────┘   └────────┘     nobody forwards packets
 */
import { lstatSync, writeFileSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, test } from 'vitest'

import type { Diagnosis, Finding } from '../../src/index.js'
import { endToEnd } from '../harness/end-to-end.js'
import { microsocks, SOCKS_PORT } from '../harness/microsocks.js'
import type { Namespace } from '../harness/namespace.js'
import { listening } from '../harness/proc.js'
import { INNER, innerOf, PORT, proxyLine, type Stop } from '../harness/topology.js'
import { event, up, zportal, ZPORTAL } from '../harness/zportal.js'

const FORBID_IO_URING = fileURLToPath(new URL('../harness/inside/forbid-io-uring.pl', import.meta.url))

endToEnd('the doctor', (lab) => {
  let client: Stop
  let server: Stop
  let proxies: [Stop, Stop]
  beforeAll(async () => {
    const line = await proxyLine(lab, 2)
    client = line.client
    server = line.server
    proxies = line.proxies as [Stop, Stop]
  })

  /** Runs it and gives its findings by id; demands the exit code that belongs to them, and no device. */
  async function doctor(
    args: string[],
    { at = client.namespace, by = [] }: { at?: Namespace; by?: string[] } = {},
  ): Promise<Record<string, Finding>> {
    const before = await at.tuns()
    const child = at.spawn([...by, ...ZPORTAL, 'doctor', '--json', ...args])
    const { code } = await child.exit()
    expect(child.stderr).toBe('')
    const { version, ok, findings } = JSON.parse(child.stdout) as Diagnosis
    expect(version).toBe(1)
    expect(code).toBe(ok ? 0 : 1)
    expect(ok).toBe(findings.every(({ status }) => status !== 'fail'))
    for (const { status, cure } of findings) expect(cure === undefined).toBe(status === 'pass')
    expect(await at.tuns()).toEqual(before)
    return Object.fromEntries(findings.map((finding) => [finding.id, finding]))
  }

  test('a machine on which everything is well, for people', async () => {
    const child = client.namespace.spawn([...ZPORTAL, 'doctor', '-n', 'zt0', '-a', '10.10.0.1/24'])
    await child.exitsWith(0)
    for (const id of ['io-uring', 'tun.create', 'tun.offloads', 'device.name', 'inner.addresses']) {
      expect(child.stdout).toMatch(new RegExp(`^pass  ${id.replace('.', '\\.')} +\\S`, 'm'))
    }
    expect(child.stdout).toMatch(/\d+ passed, \d+ warned, 0 failed\n$/)
    expect(await client.namespace.tuns()).toEqual([])
  })

  test('takes what up takes, also what only up makes use of', async () => {
    expect((await doctor(['--log-level', 'warn', '-n', 'zt0']))['device.name']?.status).toBe('pass')
    const found = await doctor(['--tor', '-c', 'exampleonionaddress.onion:7000', '--dial-timeout', '1'])
    expect(Object.values(found).map(({ code }) => code)).toContain('ZP_DIAL_REFUSED')
  })

  test('a command line that is wrong', async () => {
    const child = client.namespace.spawn([...ZPORTAL, 'doctor', '-m', '12', '-c', '192.0.2.1:0'])
    await child.exitsWith(2)
    expect(child.stdout).toBe('')
    expect(child.stderr).toMatch(/^ZP_OPTION: --mtu .*\nZP_OPTION: --connect .*\n$/)
  })

  describe('the machine', () => {
    test('no CAP_NET_ADMIN', async () => {
      const by = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', '--']
      const found = await doctor([], { by })
      expect(found['process.net-admin']).toMatchObject({ status: 'fail', code: 'ZP_TUN_PERMISSION' })
      expect(found['tun.device']?.status).toBe('pass')
      expect(found['io-uring']?.status).toBe('pass')
    })

    test('CAP_NET_ADMIN over another network namespace', async () => {
      // The child has every capability in a user namespace of its own, and this network is not its own.
      const found = await doctor([], { by: ['unshare', '--user', '--map-root-user'] })
      expect(found['process.net-admin']?.status).toBe('pass')
      expect(found['tun.create']).toMatchObject({ status: 'fail', code: 'ZP_TUN_PERMISSION' })
      expect(found['tun.create']?.cure).toContain('namespace')
    })

    test('no /dev/net/tun', async () => {
      const by = ['sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh']
      const found = await doctor([], { by })
      expect(found['tun.device']).toMatchObject({ status: 'fail', code: 'ZP_TUN_MISSING' })
      expect(found['process.net-admin']?.status).toBe('pass')
    })

    test('something else at its place', async () => {
      const by = ['sh', '-c', 'mount --bind /dev/null /dev/net/tun && exec "$@"', 'sh']
      expect((await doctor([], { by }))['tun.create']?.status).toBe('fail')
    })

    test('io_uring forbidden by seccomp', async () => {
      const found = await doctor([], { by: ['perl', FORBID_IO_URING] })
      expect(found['io-uring']).toMatchObject({ status: 'fail', code: 'ZP_IO_URING' })
      expect(found['io-uring']?.message).toContain('seccomp')
      expect(found['tun.create']?.status).toBe('pass')
    })

    test('io_uring forbidden by the sysctl', async () => {
      // Laid over the real one for this process alone, which the kernel refuses in the same way.
      const sysctl = await lab.path('io_uring_disabled')
      writeFileSync(sysctl, '2\n')
      const over = `mount --bind ${sysctl} /proc/sys/kernel/io_uring_disabled && exec "$@"`
      const found = await doctor([], { by: ['sh', '-c', over, 'sh', 'perl', FORBID_IO_URING] })
      expect(found['io-uring']).toMatchObject({
        status: 'fail',
        message: expect.stringContaining('the sysctl kernel.io_uring_disabled=2 forbids it') as string,
        cure: 'sysctl -w kernel.io_uring_disabled=0',
      })
    })

    test('too little locked memory for io_uring', async () => {
      const by = ['prlimit', '--memlock=65536', 'perl', FORBID_IO_URING, '--errno', '12']
      const found = await doctor([], { by })
      expect(found['io-uring']).toMatchObject({ status: 'fail', code: 'ZP_IO_URING' })
      expect(found['io-uring']?.message).toContain('locked memory is too low (65536 bytes)')
    })
  })

  describe('names and addresses', () => {
    test('a name that a tunnel has', async () => {
      const holder = await up(client.namespace, { addresses: [], bind: 'unixa:zp-doctor' })
      const found = await doctor(['-n', 'zt0'])
      expect(found['device.name']).toMatchObject({ status: 'fail', code: 'ZP_TUN_NAME_TAKEN' })
      expect(found['tun.create']?.status).toBe('pass')
      expect((await doctor(['-n', 'zt1']))['device.name']?.status).toBe('pass')
      expect(holder.running).toBe(true)
    })

    test('an address and a network that an interface has', async () => {
      const found = await doctor(['-a', '192.0.2.1/32'])
      expect(found['inner.addresses']).toMatchObject({ status: 'fail' })
      expect(found['inner.addresses']?.message).toContain('to1')
      expect((await doctor(['-a', '192.0.2.5/28']))['inner.addresses']?.status).toBe('warn')
      // The kernel takes it all the same, so the tunnel says it too.
      const tunnel = await up(client.namespace, { addresses: ['192.0.2.1/32'], bind: 'unixa:zp-doctor-clash' })
      await tunnel.line(/ warn notice .*inner-addresses.*192\.0\.2\.1 is an address of to1 already; choose another/)
    })

    test('an address that is IPv6 where that is disabled', async () => {
      const lonely = await lab.namespace('lonely')
      await lonely.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6')
      const found = await doctor(['-a', 'fd00::1/64'], { at: lonely })
      expect(found['inner.addresses']).toMatchObject({ status: 'fail', code: 'ZP_TUN_CONFIGURE' })
      // And it is so.
      const child = lonely.spawn([...ZPORTAL, 'up', '-a', 'fd00::1/64', '-b', 'unixa:zp-doctor6'])
      await child.exitsWith(1)
      expect(child.stderr).toContain('ZP_TUN_CONFIGURE')
    })

    test('a port that somebody has', async () => {
      const bind = `${client.address}:${PORT}`
      expect((await doctor(['-b', bind]))['listen.address']?.status).toBe('pass')
      await up(client.namespace, { addresses: [], bind })
      expect((await doctor(['-b', bind]))['listen.address']).toMatchObject({ status: 'fail', code: 'ZP_BIND_IN_USE' })
    })

    test('the file of a Unix socket: free, in use, stale, none', async () => {
      const path = await lab.path('doctor.sock')
      const look = async () => (await doctor(['-b', `unix:${path}`]))['listen.address']
      expect((await look())?.status).toBe('pass')
      const holder = await up(client.namespace, { addresses: [], bind: `unix:${path}` })
      expect(await look()).toMatchObject({ status: 'fail', code: 'ZP_BIND_IN_USE' })
      holder.signal('SIGKILL')
      await holder.exit()
      expect(await look()).toMatchObject({ status: 'pass', message: expect.stringContaining('taken over') as string })
      expect(lstatSync(path).isSocket()).toBe(true)
      await unlink(path)
      writeFileSync(path, 'precious')
      expect(await look()).toMatchObject({ status: 'fail', code: 'ZP_BIND' })
      await unlink(path)
    })
  })

  describe('the way', () => {
    /** Through both proxies to the server. */
    const way = () => [
      ...proxies.flatMap(({ address }) => ['-p', `${address}:${SOCKS_PORT}`]),
      ...['-c', `${server.address}:${PORT}`, '--dial-timeout', '5'],
    ]
    const end = ['-m', '1400', '-a', `${INNER.client.ipv4}/24`]

    test('each hop with its time, and what the peer says of itself', async () => {
      for (const { namespace, address } of proxies) await microsocks(namespace, address)
      const serving = await up(server.namespace, { addresses: innerOf('server'), bind: `${server.address}:${PORT}` })

      const found = await doctor([...end, ...way()])
      for (const id of ['proxy.0', 'proxy.1', 'peer', 'peer.mtu', 'peer.addresses']) {
        expect(found[id]).toMatchObject({ id, status: 'pass' })
      }
      for (const id of ['proxy.0', 'proxy.1', 'peer']) expect(found[id]?.ms).toBeGreaterThan(0)
      expect(found['peer']?.message).toContain('version 1')

      const wrong = await doctor(['-m', '1300', '-a', `${INNER.server.ipv4}/24`, ...way()])
      expect(wrong['peer.mtu']).toMatchObject({ status: 'warn', message: expect.stringContaining('1400') as string })
      expect(wrong['peer.addresses']?.status).toBe('fail')

      // The server has seen strangers only, and waits on.
      expect(serving.stderr).not.toMatch(event('up'))
      await up(client.namespace, {
        addresses: innerOf('client'),
        connect: `${server.address}:${PORT}`,
        proxies: proxies.map(({ address }) => `${address}:${SOCKS_PORT}`),
      })
    })

    test('a proxy that is dead, and one that cannot reach the next', async () => {
      const first = await microsocks(proxies[0].namespace, proxies[0].address)
      const found = await doctor([...end, ...way()])
      expect(found['proxy.0']?.status).toBe('pass')
      expect(found['proxy.1']).toMatchObject({ status: 'fail', code: 'ZP_PROXY_REFUSED' })
      expect(found['peer']).toBeUndefined()
      await first.stop()
      const none = await doctor([...end, ...way()])
      expect(none['proxy.0']).toMatchObject({ status: 'fail', code: 'ZP_DIAL_REFUSED' })
      expect(none['proxy.1']).toBeUndefined()
    })

    test('a proxy that wants a password', async () => {
      await microsocks(proxies[0].namespace, proxies[0].address, { password: 'secret' })
      const found = await doctor([...end, ...way()])
      expect(found['proxy.0']).toMatchObject({ status: 'fail', code: 'ZP_PROXY_AUTH' })
      expect(found['proxy.1']).toBeUndefined()
    })

    test('a peer that is another service, one that says nothing, one that hangs up', async () => {
      const near = proxies[0]
      const dial = async (behaviour: string) => {
        const program = `require('node:net').createServer((s) => { s.on('error', () => {}); ${behaviour} }).listen(${PORT}, '${near.address}')`
        const service = near.namespace.spawn([process.execPath, '-e', program])
        await listening(service, PORT)
        const found = (await doctor([...end, '-c', `${near.address}:${PORT}`]))['peer']
        await service.stop()
        return found
      }
      expect(await dial(`s.write('220 mail.example ESMTP\\r\\n')`)).toMatchObject({
        status: 'fail',
        code: 'ZP_FRAME_MAGIC',
      })
      expect((await dial(''))?.message).toContain('says nothing')
      expect((await dial('s.end()'))?.message).toContain('ends them at once')
    })

    test('a network that is routed elsewhere already, and one that is free', async () => {
      const args = ['-a', '10.10.0.2/24', '-c', `${proxies[0].address}:${PORT}`, '--dial-timeout', '1']
      const taken = (await doctor([...args, '--route', '192.0.2.0/28']))['inner.routes']
      expect(taken).toMatchObject({ status: 'fail', code: 'ZP_ROUTE_EXISTS' })
      // A tunnel says the same.
      const tunnel = zportal(client.namespace, ['up', ...args, '--route', '192.0.2.0/28'])
      expect((await tunnel.exitsWith(1)).stderr).toMatch(/^ZP_ROUTE_EXISTS: /m)
      const free = (await doctor([...args, '--route', '198.51.100.0/24', '--route', '0.0.0.0/0']))['inner.routes']
      expect(free?.status).toBe('pass')
    })

    test('a first hop that the tunnel would swallow', async () => {
      const args = ['-m', '1400', '-c', `${proxies[0].address}:${PORT}`, '--dial-timeout', '1']
      expect((await doctor(['-a', '192.0.2.3/30', ...args]))['way.overlap']?.status).toBe('fail')
      expect((await doctor(['-a', '10.10.0.2/24', ...args]))['way.overlap']).toBeUndefined()
    })
  })
})

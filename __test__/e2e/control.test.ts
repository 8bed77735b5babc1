/*
 * Tunnels seen and ended from outside: two of one name in two network namespaces, each found from its own
 * namespace only, through control sockets that a killed process cannot block.
 *
 *     ┌─ blue ───────────────┐                       ┌─ red ────────────────┐
 *     │ zt0  10.10.0.1       │ ═══════ tunnel ══════ │ zt0  10.10.0.2       │
 *     │      unix:…/zp.sock ◄┼── the file system ────┼─►                    │
 *     └──────────▲───────────┘                       └──────────▲───────────┘
 *       /run/zportal/BLUE/zt0.sock                     /run/zportal/RED/zt0.sock
 */
import { existsSync, statSync, writeFileSync } from 'node:fs'

import { beforeAll, describe, expect, test } from 'vitest'

import { ApiProgram } from '../harness/api.js'
import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { meetingOf } from '../harness/meeting.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { parseMetrics, sample } from '../harness/prometheus.js'
import { INNER, innerOf } from '../harness/topology.js'
import { event, flags, up, zportal, ZPORTAL } from '../harness/zportal.js'

endToEnd('control', (lab) => {
  let blue: Namespace
  let red: Namespace
  let meeting: string
  let serve: () => Promise<Child>
  let dial: () => Promise<Child>
  beforeAll(async () => {
    ;({ blue, red, meeting, serve, dial } = await meetingOf(lab))
  })
  const socketOf = (at: Namespace, name = 'zt0') => `/run/zportal/${at.inode}/${name}.sock`

  /** Runs a command to its end, with the exit code that it has to have. */
  async function run(at: Namespace, code: number, ...args: string[]): Promise<Child> {
    return zportal(at, args).exitsWith(code)
  }
  async function status(at: Namespace, code: number): Promise<Record<string, unknown>> {
    return JSON.parse((await run(at, code, 'status', 'zt0', '--json')).stdout) as Record<string, unknown>
  }

  describe('status', () => {
    test('of nothing, of an end that waits, of one that is up', async () => {
      expect((await run(blue, 4, 'status')).stderr).toMatch(/^ZP_NOT_RUNNING: no tunnel runs in this network namespace/)
      expect((await run(blue, 4, 'status', 'zt0')).stderr).toMatch(/^ZP_NOT_RUNNING: no tunnel "zt0" runs/)
      expect(await status(blue, 4)).toEqual({ version: 1, name: 'zt0', state: 'not-running' })
      expect(JSON.parse((await run(blue, 4, 'status', '--json')).stdout)).toEqual({ version: 1, tunnels: [] })

      const server = await serve()
      expect(await status(blue, 3)).toMatchObject({ version: 1, state: 'listening', role: 'server', peer: null })
      await dial()
      await server.line(event('up'))
      expect(await status(blue, 0)).toMatchObject({
        state: 'up',
        name: 'zt0',
        netns: blue.inode,
        addresses: innerOf('server'),
      })
      expect((await run(blue, 0, 'status')).stdout).toMatch(/^zt0 {2}server, up for 0:\d\d\n {2}peer /)
      expect((await run(blue, 4, 'status', 'zt1')).stderr).toMatch(/^ZP_NOT_RUNNING/)
    })

    test('of two tunnels of one name: each namespace sees its own', async () => {
      const [server, client] = [await serve(), await dial()]
      const [inBlue, inRed] = [await status(blue, 0), await status(red, 0)]
      expect(inBlue).toMatchObject({ role: 'server', netns: blue.inode })
      expect(inRed).toMatchObject({ role: 'client', netns: red.inode, connect: meeting })
      expect(inBlue['pid']).not.toBe(inRed['pid'])
      await client.stop()
      await server.line(event('waiting'))
      await run(red, 4, 'status')
      expect(await status(blue, 3)).toMatchObject({ state: 'waiting', reason: { code: 'ZP_PEER_CLOSED' } })
    })

    test('of several, a line each', async () => {
      await serve()
      await up(blue, { name: 'office', addresses: [], bind: `unix:${await lab.path('office.sock')}` })
      const { stdout } = await run(blue, 3, 'status')
      expect(stdout).toMatch(/^NAME +ROLE +STATE .*\noffice +server +listening .*\nzt0 +server +listening .*\n$/)
      expect((await run(blue, 2, 'down')).stderr).toBe(
        'ZP_OPTION: which tunnel? Name one of the 2 that run here: office, zt0\n',
      )
    })

    test('of a process that has stopped answering', async () => {
      const server = await serve()
      server.signal('SIGSTOP')
      expect((await run(blue, 1, 'status', 'zt0')).stderr).toMatch(/^ZP_CONTROL: .* does not answer within 3 s/)
      server.signal('SIGCONT')
      await status(blue, 3)
    })
  })

  describe('the socket', () => {
    test('is for its owner alone, and goes with the tunnel', async () => {
      const server = await serve()
      expect(statSync(socketOf(blue)).mode & 0o777).toBe(0o600)
      expect(statSync(`/run/zportal/${blue.inode}`).mode & 0o777).toBe(0o755)
      await server.stop()
      expect(existsSync(`/run/zportal/${blue.inode}`)).toBe(false)
    })

    test('that a killed process left is no obstacle, nor kept for ever', async () => {
      const [server, client] = [await serve(), await dial()]
      for (const child of [server, client]) {
        child.signal('SIGKILL')
        await child.exit()
      }
      await until('the end of the TUNs', 2000, async () => (await lab.tuns()).length === 0)
      expect(existsSync(socketOf(blue))).toBe(true)
      await run(blue, 4, 'status')
      // The next one in blue takes blue's over and sweeps red's.
      await serve()
      await status(blue, 3)
      expect(existsSync(`/run/zportal/${red.inode}`)).toBe(false)
    })

    test('of a living tunnel is not taken, even if its device goes by another name by now', async () => {
      const first = await serve()
      await blue.ip('link', 'set', 'zt0', 'down')
      await blue.ip('link', 'set', 'zt0', 'name', 'other')
      const bind = `unix:${await lab.path('second.sock')}`
      const second = await up(blue, { addresses: [], bind })
      await second.line(/warn notice .*no-control.*belongs to another process/)
      expect(await status(blue, 3)).toMatchObject({ local: meeting })
      await second.stop()
      expect(await status(blue, 3)).toMatchObject({ local: meeting })
      await first.stop()
    })

    test('that cannot be made is one line, and the tunnel works', async () => {
      const client = await dialInReadOnlyRun()
      const notices = client.stderr.split('\n').filter((line) => line.includes('no-control'))
      expect(notices).toEqual([expect.stringMatching(/none of \/run\/zportal can be written/)])
      expect((await ping(red, INNER.server.ipv4)).received).toBe(10)
    })

    async function dialInReadOnlyRun(): Promise<Child> {
      await serve()
      const inside = 'mount -t tmpfs -o ro none /run && exec "$@"'
      const args = ['up', ...flags({ addresses: innerOf('client'), connect: meeting })]
      const client = red.spawn(['sh', '-c', inside, 'sh', ...ZPORTAL, ...args], { env: { XDG_RUNTIME_DIR: undefined } })
      await client.line(event('up'))
      return client
    }

    test('may lie elsewhere or nowhere', async () => {
      const path = await lab.path('mine.sock')
      const server = await up(blue, { addresses: [], bind: meeting, more: ['--control', path] })
      await run(blue, 4, 'status')
      expect((await run(red, 3, 'status', '--socket', path)).stdout).toMatch(/^zt0 {2}server/)
      await run(red, 0, 'down', '--socket', path)
      await server.exitsWith(0)
      expect(existsSync(path)).toBe(false)
      await up(blue, { addresses: [], bind: meeting, more: ['--control', 'off'] })
      await run(blue, 4, 'status')
      const wrong = zportal(red, ['up', '-b', 'unixa:x', '--control', 'no-path'])
      expect((await wrong.exitsWith(2)).stderr).toMatch(
        /^ZP_OPTION: --control must be .* the path of a socket .*"no-path"/,
      )
    })
  })

  describe('down', () => {
    test('ends a tunnel cleanly, and nothing of it is left when it returns', async () => {
      const [server, client] = [await serve(), await dial()]
      await server.line(event('up'))
      expect((await run(red, 0, 'down')).stdout).toMatch(/^zt0 is down; sent \d+ B, received \d+ B\n$/)
      expect(await red.tuns()).toEqual([])
      expect(existsSync(`/run/zportal/${red.inode}`)).toBe(false)
      await client.exitsWith(0)
      await server.line(/ waiting name=zt0 reason=ZP_PEER_CLOSED/)

      expect((await run(red, 4, 'down', 'zt0')).stderr).toMatch(/^ZP_NOT_RUNNING/)
      const { stdout } = await run(blue, 0, 'down', 'zt0', '--json')
      expect(JSON.parse(stdout)).toMatchObject({ version: 1, state: 'closed', reason: { code: 'ZP_CLOSED' } })
      await server.exitsWith(0)
    })
  })

  describe('wait', () => {
    test('returns when traffic can flow, for a tunnel that starts meanwhile', async () => {
      const waiting = zportal(red, ['wait', 'zt0', '--timeout', '20'])
      await serve()
      await dial()
      expect((await waiting.exitsWith(0)).stdout).toMatch(/^zt0 is up with unix:/)
      expect((await ping(red, INNER.server.ipv4)).received).toBe(10)
    })

    test('gives up when its time is over', async () => {
      await run(blue, 4, 'wait', '--timeout', '0.1')
      await serve()
      expect((await run(blue, 3, 'wait', '--timeout', '0.1')).stderr).toBe('zt0 is listening after 0.1 s\n')
      expect((await run(blue, 2, 'wait', '--timeout', 'long')).stderr).toMatch(/^ZP_OPTION: --timeout .*"long"/)
    })

    test('tells programs the state that it came to', async () => {
      const wait = async (code: number) => {
        const { stdout, stderr } = await run(red, code, 'wait', 'zt0', '--timeout', code === 0 ? '20' : '0.1', '--json')
        expect(stderr).toBe('')
        return JSON.parse(stdout) as unknown
      }
      expect(await wait(4)).toEqual({ version: 1, name: 'zt0', state: 'not-running' })
      const client = zportal(red, ['up', ...flags({ addresses: innerOf('client'), connect: meeting })])
      await client.line(event('waiting'))
      expect(await wait(3)).toMatchObject({
        version: 1,
        name: 'zt0',
        state: 'waiting',
        reason: { code: 'ZP_DIAL_REFUSED' },
      })
      await serve()
      expect(await wait(0)).toMatchObject({ version: 1, state: 'up', role: 'client', peer: { address: meeting } })
    })
  })

  describe('events', () => {
    test('are told from the status to the end', async () => {
      const server = await serve()
      const events = zportal(blue, ['events', 'zt0'])
      await events.line(/"event":"status"/)
      const client = await dial()
      await events.line(/"event":"state".*"state":"up"/)
      await client.stop()
      await events.line(/"event":"state".*"state":"waiting".*ZP_PEER_CLOSED/)
      await server.stop()
      await events.exitsWith(0)
      const told = events.lines.map(({ text }) => JSON.parse(text) as { version: number; state?: string })
      expect(told.every(({ version }) => version === 1)).toBe(true)
      expect(told.at(-1)?.state).toBe('closed')
      await run(blue, 4, 'events')
    })

    test('end for a reader that has enough', async () => {
      const server = await serve()
      const head = blue.spawn(['sh', '-c', '"$@" | head -n 1', 'sh', ...ZPORTAL, 'events'])
      await head.line(/"event":"status"/)
      await dial()
      await head.exitsWith(0)
      expect(server.running).toBe(true)
    })
  })

  describe('metrics', () => {
    test('over the socket and over a loopback port, counting what flows', async () => {
      await up(blue, { addresses: innerOf('server'), bind: meeting, more: ['--metrics', '127.0.0.1:9100'] })
      await dial()
      await ping(red, INNER.server.ipv4, { count: 20 })
      const urls = [['http://127.0.0.1:9100/metrics'], ['--unix-socket', socketOf(blue), 'http://zportal/metrics']]
      for (const url of urls) {
        const families = parseMetrics(await blue.run('curl', '-sf', ...url))
        expect(sample(families, 'zportal_up', { name: 'zt0' })).toBe(1)
        expect(sample(families, 'zportal_packets_total', { direction: 'rx' })).toBeGreaterThanOrEqual(20)
      }
      await expect(blue.run('curl', '-sf', 'http://127.0.0.1:9100/status')).rejects.toThrow()
    })

    test('for the network are refused', async () => {
      const wrong = zportal(blue, ['up', '-b', meeting, '--metrics', '0.0.0.0:9100'])
      expect((await wrong.exitsWith(2)).stderr).toMatch(/^ZP_OPTION: --metrics must be a loopback address/)
    })
  })

  describe('a config file', () => {
    test('brings up its tunnel, and flags win', async () => {
      const file = await lab.path('lab.toml')
      writeFileSync(file, `bind = "${meeting}"\naddress = ["10.10.0.1/24"]\nmtu = 1300\n`)
      const env = { ZPORTAL_CONFIG_DIR: file.replace(/\/lab\.toml$/, '') }
      const server = zportal(blue, ['up', 'lab', '-m', '1350'], { env })
      await server.line(event('listening'))
      expect(await blue.mtu('lab')).toBe(1350)
      expect(await blue.addresses('lab')).toEqual(['10.10.0.1/24'])
      expect(JSON.parse((await run(blue, 3, 'status', 'lab', '--json')).stdout)).toMatchObject({ config: file })
      expect((await run(blue, 0, 'config', 'check', '-f', file)).stdout).toBe(`${file} is right\n`)
      const show = zportal(blue, ['config', 'show', 'lab'], { env })
      expect((await show.exitsWith(0)).stdout).toMatch(/^mtu = 1300 +# .*lab\.toml:3$/m)
      expect((await zportal(blue, ['config', 'check', 'lab'], { env }).exitsWith(0)).stdout).toBe(`${file} is right\n`)
    })

    test('that is wrong creates nothing', async () => {
      const file = await lab.path('wrong.toml')
      writeFileSync(file, `bind = "${meeting}"\nmtuu = 1300\n`)
      const sentence = `ZP_CONFIG: ${file}:2: there is no setting "mtuu"; did you mean "mtu"?\n`
      expect((await run(blue, 2, 'up', '-f', file)).stderr).toBe(sentence)
      expect((await run(blue, 2, 'config', 'check', '-f', file)).stderr).toBe(sentence)
      expect((await run(blue, 2, 'up', 'no-such-config')).stderr).toMatch(/^ZP_CONFIG: there is no config file /)
      expect(await blue.tuns()).toEqual([])
    })

    test('is judged and shown for programs, without its secrets', async () => {
      const file = await lab.path('secret.toml')
      const json = async (code: number, ...args: string[]) =>
        JSON.parse((await run(blue, code, 'config', ...args, '-f', file, '--json')).stdout) as unknown
      writeFileSync(file, `connect = "192.0.2.1:7000"\nproxy = ["socks5://me:hush@192.0.2.2:1080"]\n`, { mode: 0o600 })
      expect(await json(0, 'check')).toEqual({ version: 1, file, ok: true, problems: [], warnings: [] })
      const shown = await json(0, 'show')
      expect(shown).toMatchObject({ version: 1, file, settings: expect.any(Array) as unknown })
      expect(JSON.stringify(shown)).toContain('192.0.2.2:1080')
      expect(JSON.stringify(shown)).not.toContain('hush')

      writeFileSync(file, `connect = "192.0.2.1"\nmtuu = 1300\n`)
      expect(await json(2, 'check')).toMatchObject({
        version: 1,
        file,
        ok: false,
        problems: [/* by line */ expect.any(String)],
      })
      expect((await run(blue, 2, 'config', 'show', '-f', file, '--json')).stderr).toContain(
        'secret.toml:2: there is no setting "mtuu"',
      )
      expect((await run(blue, 2, 'config', 'show', 'no-such')).stderr).toMatch(/^ZP_CONFIG: there is no config file /)
    })

    test('has a schema that takes what is right and refuses what is wrong', async () => {
      const { stdout } = await run(blue, 0, 'config', 'schema')
      const schema = JSON.parse(stdout) as Record<string, unknown>
      expect(schema).toMatchObject({ type: 'object', additionalProperties: false })
      expect(Object.keys(schema['properties'] as object)).toEqual(
        expect.arrayContaining(['bind', 'connect', 'proxy', 'mtu']),
      )
      expect((await run(blue, 2, 'config', 'schema', 'lab')).stderr).toMatch(/^ZP_OPTION: /)
    })
  })

  test('a tunnel of the API is found when it wants to be', async () => {
    const program = new ApiProgram(blue)
    await program.order('open', { key: 't', options: { name: 'zt0', bind: meeting, control: true } })
    expect(await status(blue, 3)).toMatchObject({ state: 'listening' })
    await run(blue, 0, 'down')
    expect(await program.order('closed', { key: 't' })).toMatchObject({ code: 'ZP_CLOSED' })
    expect(existsSync(`/run/zportal/${blue.inode}`)).toBe(false)
    program.end()
    await program.child.exitsWith(0)
  })
})

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { createServer, request } from 'node:http'
import type { Socket } from 'node:net'
import { createConnection, createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDown, askEvents, askReload, askSamples, askStatus, NobodyThere } from '../../src/control/client.js'
import { find, findAll } from '../../src/control/find.js'
import { dropsOf, metricsText } from '../../src/control/metrics.js'
import { networkNamespace, rootsToSearch, rootsToServe } from '../../src/control/place.js'
import { CHANGES_MAX, record } from '../../src/control/recorder.js'
import { seatAt, seatIn } from '../../src/control/seat.js'
import type { TunnelStatus } from '../../src/control/status.js'
import { lookFor, running } from '../../src/control/target.js'
import { waitUntilUp } from '../../src/control/wait.js'
import { changeText, formatMicroseconds, statusTable, statusText } from '../../src/face/status-text.js'
import type { TunnelOptions } from '../../src/tunnel-options.js'
import type { Tunnel } from '../../src/tunnel.js'
import { openTunnelWith } from '../../src/open.js'
import { parseMetrics, sample } from '../harness/prometheus.js'
import { FakeAddon, FakeLocks, FakeTunnel, NO_STATS, PEER, turn } from './fake-native.js'

const NETNS = networkNamespace()
let folder: string
let env: NodeJS.ProcessEnv
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zportal-control-'))
  env = { ZPORTAL_RUN_DIR: folder }
  process.env['ZPORTAL_RUN_DIR'] = folder
})
afterEach(() => {
  delete process.env['ZPORTAL_RUN_DIR']
  rmSync(folder, { recursive: true, force: true })
})

async function open(options: TunnelOptions, host = {}, addon = new FakeAddon()): Promise<Tunnel> {
  return openTunnelWith(() => addon, options, host)
}

const socketOf = (name: string) => join(folder, String(NETNS), `${name}.sock`)

const STATUS: TunnelStatus = {
  version: 1,
  name: 'zt0',
  role: 'client',
  state: 'up',
  since: '2026-01-01T00:00:00.000Z',
  stateMs: 3_723_000,
  openedAt: '2026-01-01T00:00:00.500Z',
  pid: 42,
  zportal: '1.2.3',
  netns: 4026531840,
  config: '/etc/zportal/lab.toml',
  mtu: 1400,
  addresses: ['10.0.0.2/24'],
  local: null,
  connect: 'h:1',
  proxies: ['127.0.0.1:1080'],
  peer: { address: 'h:1 via 127.0.0.1:1080', dialMs: 3, speech: 'v1', hops: [] },
  reason: null,
  retryMs: null,
  rates: { txBitsPerSecond: 1.25e9, rxBitsPerSecond: 3000 },
  stats: { ...NO_STATS, txPackets: 1_250_000, txBytes: 2 ** 30, dropsCodel: 3, dropsDown: 1, dropsOverlimit: 0 },
  history: [],
}

describe('a control socket', () => {
  test('answers for its tunnel, and ends with it', async () => {
    const addon = new FakeAddon()
    const options = {
      connect: 'h:1',
      proxies: ['127.0.0.1:1080'],
      addresses: ['10.0.0.2/24'],
      mtu: 1300,
      control: true,
    }
    const tunnel = await open(options, { config: '/x/lab.toml' }, addon)
    await turn()
    const socket = socketOf('zt7')
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    expect(await askStatus(socket)).toMatchObject({
      version: 1,
      ...{ name: 'zt7', role: 'client', state: 'connecting', pid: process.pid, netns: NETNS, config: '/x/lab.toml' },
      ...{
        mtu: 1300,
        addresses: ['10.0.0.2/24'],
        connect: 'h:1',
        proxies: ['socks5://127.0.0.1:1080'],
        peer: null,
        reason: null,
      },
      history: [{ state: 'connecting', previous: 'opening' }],
    })
    await addon.tunnel.peerComes()
    expect(await askStatus(socket)).toMatchObject({ state: 'up', peer: PEER })
    expect(await askSamples(socket)).toMatchObject({ version: 1, everyMs: 1000 })

    const last = await askDown(socket)
    expect(last).toMatchObject({ state: 'closed', reason: { code: 'ZP_CLOSED' } })
    expect((await tunnel.closed).reason.code).toBe('ZP_CLOSED')
    expect(readdirSync(tmpdir())).not.toContain(folder.split('/').at(-1))
    await expect(askStatus(socket)).rejects.toBeInstanceOf(NobodyThere)
  })

  test('is there only when it is asked for', async () => {
    const tunnel = await open({ bind: 'unix:/x' })
    expect(readdirSync(folder)).toEqual([])
    await tunnel.close()
  })

  test('may lie where someone wants it, and nowhere else then', async () => {
    const path = join(folder, 'mine.sock')
    const tunnel = await open({ bind: 'unix:/x', control: path })
    expect(await askStatus(path)).toMatchObject({ name: 'zt7', role: 'server', local: '192.0.2.1:7000' })
    expect(readdirSync(folder).sort()).toEqual(['mine.sock', 'mine.sock.lock'])
    await tunnel.close()
    expect(readdirSync(folder)).toEqual([])
  })

  test.each([
    ['a folder that does not exist', () => join(folder, 'none', 'x.sock'), /cannot be made/],
    ['a file of another kind', () => join(folder, 'file'), /a file of another kind/],
  ])('that cannot be in %s fails the opening, and closes what was opened', async (_, path, sentence) => {
    writeFileSync(join(folder, 'file'), 'precious')
    const addon = new FakeAddon()
    await expect(open({ bind: 'unix:/x', control: path() }, {}, addon)).rejects.toMatchObject({
      code: 'ZP_CONTROL',
      message: expect.stringMatching(sentence) as string,
    })
    expect(addon.tunnel.closes).toBe(1)
    expect(readdirSync(folder)).toEqual(['file'])
  })

  test('that cannot be had in the usual place is a notice, and the tunnel lives', async () => {
    process.env['ZPORTAL_RUN_DIR'] = '/proc/none'
    const tunnel = await open({ bind: 'unix:/x', control: true })
    const notices: string[] = []
    tunnel.on('notice', ({ code, message }) => notices.push(`${code}: ${message}`))
    await turn()
    expect(notices).toEqual(['no-control: no control socket: none of /proc/none can be written'])
    await tunnel.close()
  })

  test('reloads if there is something to reload, and tells why not', async () => {
    const failing = await open({ bind: 'unix:/x', control: join(folder, 'a.sock') })
    await expect(askReload(join(folder, 'a.sock'))).rejects.toMatchObject({ code: 'ZP_CONTROL' })
    const host = { reload: () => Promise.resolve({ applied: ['log-level'], next: ['connect'], restart: ['mtu'] }) }
    const tunnel = await open({ bind: 'unix:/x', control: join(folder, 'b.sock') }, host)
    expect(await askReload(join(folder, 'b.sock'))).toEqual({
      version: 1,
      applied: ['log-level'],
      next: ['connect'],
      restart: ['mtu'],
    })
    await failing.close()
    await tunnel.close()
  })

  test('tells events from the status on to the end', async () => {
    const addon = new FakeAddon()
    const tunnel = await open({ connect: 'h:1', once: true, control: true }, {}, addon)
    const events: Record<string, unknown>[] = []
    const reading = (async () => {
      for await (const line of askEvents(socketOf('zt7'))) events.push(JSON.parse(line) as Record<string, unknown>)
    })()
    await expect.poll(() => events.length).toBe(1)
    addon.notify({ level: 'warn', code: 'mtu-differs', message: 'the MTUs differ' })
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves()
    await tunnel.closed
    await reading
    expect(events.map(({ event, state, code, reason }) => [event, state ?? code, reason])).toEqual([
      ['status', undefined, undefined],
      ['notice', 'mtu-differs', undefined],
      ['state', 'up', undefined],
      ['state', 'closed', { code: 'ZP_PEER_CLOSED', message: 'ZP_PEER_CLOSED happened' }],
    ])
    expect(events.every(({ version, name, at }) => version === 1 && name === 'zt7' && typeof at === 'string')).toBe(
      true,
    )
  })

  test('is hung up by who has enough of its events', async () => {
    const path = join(folder, 'teller.sock')
    const guests: Socket[] = []
    const teller = createNetServer((guest) => {
      guests.push(guest)
      guest.once('data', () => guest.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"a":1}\n\r\n'))
    }).listen(path)
    for await (const line of askEvents(path)) {
      expect(line).toBe('{"a":1}')
      break
    }
    await expect.poll(() => guests.map(({ closed }) => closed)).toEqual([true])
    teller.close()
  })

  test('of a process that dies in the middle of an answer is nobody any more', async () => {
    const path = join(folder, 'dying.sock')
    const dying = createNetServer((guest) => {
      guest.once('data', () => {
        guest.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"a":1}\n{\r\n')
        setImmediate(() => guest.destroy())
      })
    }).listen(path)
    const lines: string[] = []
    for await (const line of askEvents(path)) lines.push(line)
    expect(lines).toEqual(['{"a":1}'])
    await expect(askStatus(path)).rejects.toBeInstanceOf(NobodyThere)
    dying.close()
  })

  test('of a tunnel that its signal ended while it was being made is gone', async () => {
    const abort = new AbortController()
    const opening = open({ bind: 'unix:/x', control: true, signal: abort.signal })
    await turn()
    abort.abort()
    await expect(opening.then((tunnel) => tunnel.whenUp())).rejects.toMatchObject({ code: 'ZP_ABORTED' })
    await expect.poll(() => existsSync(socketOf('zt7'))).toBe(false)
  })

  test('refuses what it does not know, in JSON', async () => {
    const tunnel = await open({ bind: 'unix:/x', control: true })
    const ask = async (method: string, path: string) => {
      const answer = await fetchUnix(socketOf('zt7'), method, path)
      return [answer.statusCode, (JSON.parse(answer.body) as { error?: { message: string } }).error?.message]
    }
    expect(await ask('GET', '/nothing')).toEqual([
      404,
      expect.stringContaining('there is no /nothing; there is /status'),
    ])
    expect(await ask('GET', '/toString')).toEqual([404, expect.any(String)])
    expect(await ask('GET', '/down')).toEqual([405, '/down takes POST, got GET'])
    expect(await ask('POST', '/status')).toEqual([405, '/status takes GET, got POST'])
    expect(await ask('GET', '/status?x=1')).toEqual([200, undefined])
    expect(tunnel.state).toBe('listening')
    await tunnel.close()
  })

  test('is not disturbed by noise, nor held open by somebody who stays', async () => {
    const tunnel = await open({ bind: 'unix:/x', control: true })
    const noisy = createConnection(socketOf('zt7'), () => noisy.write('\0\x01nonsense\r\n\r\n'))
    const gone = new Promise((resolve) => noisy.on('close', resolve))
    noisy.on('error', () => undefined)
    await gone
    const silent = createConnection(socketOf('zt7'))
    silent.on('error', () => undefined)
    await new Promise((resolve) => silent.on('connect', resolve))
    expect(await askStatus(socketOf('zt7'))).toMatchObject({ name: 'zt7' })
    const startedAt = performance.now()
    await tunnel.close()
    expect(performance.now() - startedAt).toBeLessThan(900)
  })
})

describe('metrics', () => {
  test('are what a strict reader takes, one series each', () => {
    const stats = { ...STATUS.stats, rttUs: 12_345, minRttUs: 3, sojournP50Us: 1000, reconnects: 2 }
    const families = parseMetrics(metricsText({ ...STATUS, stats }))
    expect(sample(families, 'zportal_up', { name: 'zt0' })).toBe(1)
    expect(sample(families, 'zportal_info', { role: 'client', version: '1.2.3' })).toBe(1)
    expect(sample(families, 'zportal_state', { state: 'up' })).toBe(1)
    expect(sample(families, 'zportal_state', { state: 'waiting' })).toBe(0)
    expect(sample(families, 'zportal_state_seconds', {})).toBe(3723)
    expect(sample(families, 'zportal_start_time_seconds', {})).toBe(1_767_225_600.5)
    expect(sample(families, 'zportal_packets_total', { direction: 'tx' })).toBe(1_250_000)
    expect(sample(families, 'zportal_bytes_total', { direction: 'tx' })).toBe(2 ** 30)
    expect(sample(families, 'zportal_drops_total', { cause: 'codel' })).toBe(3)
    expect(sample(families, 'zportal_rtt_seconds', {})).toBe(0.012345)
    expect(sample(families, 'zportal_min_rtt_seconds', {})).toBe(0.000003)
    expect(sample(families, 'zportal_reconnects_total', {})).toBe(2)
  })

  test.each(Object.keys(NO_STATS))('have %s somewhere', (key) => {
    const told = (value: number) => metricsText({ ...STATUS, stats: { ...NO_STATS, [key]: value } })
    expect(told(1_000_000)).not.toBe(told(0))
  })

  test('leave out what an older core does not count', () => {
    const stats = Object.fromEntries(Object.entries(NO_STATS).filter(([key]) => key !== 'rttUs')) as typeof NO_STATS
    expect(parseMetrics(metricsText({ ...STATUS, stats })).has('zportal_rtt_seconds')).toBe(false)
  })

  test('escape what a name may contain', () => {
    const families = parseMetrics(metricsText({ ...STATUS, name: 'a"b\\c' }))
    expect(sample(families, 'zportal_up', { name: 'a"b\\c' })).toBe(1)
  })

  test('the reader of these tests is strict', () => {
    const family = '# HELP a b\n# TYPE a gauge\n'
    const wrong = ['a 1\n', `${family}a 1`, `${family}a one\n`, `${family}a 1\na 1\n`, `${family}a{b=c} 1\n`, family]
    wrong.push('# TYPE a gauge\na 1\n', `${family}b 1\n`, `${family}a 1\n${family}a{b="c"} 1\n`, `${family}\na 1\n`)
    wrong.push('# HELP a b\n# TYPE a counter\na 1\n', `${family}a{b="c\\d"} 1\n`)
    for (const text of wrong) expect(() => parseMetrics(text), text).toThrow()
    expect(sample(parseMetrics(`${family}a{b="\\"\\n\\\\",c=""} 1e-7\n`), 'a', { b: '"\n\\', c: '' })).toBe(1e-7)
  })

  test('are served alone on a loopback port', async () => {
    const port = await freePort()
    const tunnel = await open({ bind: 'unix:/x', metrics: `127.0.0.1:${port}` })
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(sample(parseMetrics(await answer.text()), 'zportal_up', { name: 'zt7' })).toBe(0)
    expect((await fetch(`http://127.0.0.1:${port}/status`)).status).toBe(404)
    expect((await fetch(`http://127.0.0.1:${port}/down`, { method: 'POST' })).status).toBe(404)
    await expect(open({ bind: 'unix:/x', metrics: `127.0.0.1:${port}` })).rejects.toMatchObject({ code: 'ZP_CONTROL' })
    await tunnel.close()
    await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow()
  })

  test('drops by cause, whatever causes there are', () => {
    expect(dropsOf({ txBytes: 1, dropsCodel: 2, dropsNewCause: 3 })).toEqual([
      ['codel', 2],
      ['newcause', 3],
    ])
  })
})

describe('the seat', () => {
  const roots = () => [folder]

  test('is one at a time, and leaves nothing', async () => {
    const taken = new FakeLocks()
    const seat = seatIn(roots(), 7, 'zt0', taken)
    expect(seat?.path).toBe(join(folder, '7', 'zt0.sock'))
    expect(() => seatIn(roots(), 7, 'zt0', taken)).toThrow(/belongs to another process/)
    const other = seatIn(roots(), 8, 'zt0', taken)
    const server = createServer()
    await seat?.listen(server)
    expect(readdirSync(join(folder, '7')).sort()).toEqual(['zt0.lock', 'zt0.sock'])
    await closed(server)
    seat?.release()
    seat?.release()
    expect(readdirSync(folder)).toEqual(['8'])
    other?.release()
    expect(existsSync(folder)).toBe(false)
  })

  test('takes over what a killed process left, and sweeps what others left', async () => {
    for (const netns of ['7', '9']) {
      mkdirSync(join(folder, netns), { recursive: true })
      for (const file of ['zt0.lock', 'zt0.sock']) writeFileSync(join(folder, netns, file), '')
    }
    mkdirSync(join(folder, '9', '.zt0.sock.new'))
    mkdirSync(join(folder, '7', '.zt0.sock.new'))
    const seat = seatIn(roots(), 7, 'zt0', new FakeLocks())
    const server = createServer((_, response) => response.end())
    await seat?.listen(server)
    expect(readdirSync(folder)).toEqual(['7'])
    expect(readdirSync(join(folder, '7')).sort()).toEqual(['zt0.lock', 'zt0.sock'])
    expect((await fetchUnix(join(folder, '7', 'zt0.sock'), 'GET', '/')).statusCode).toBe(200)
    await closed(server)
    seat?.release()
  })

  test('is looked for in the next root when one cannot be written', () => {
    const seat = seatIn(['/proc/none', folder], 7, 'zt0', new FakeLocks())
    expect(seat?.path).toBe(join(folder, '7', 'zt0.sock'))
    seat?.release()
    expect(seatIn(['/proc/none'], 7, 'zt0', new FakeLocks())).toBeUndefined()
  })

  test('may be anywhere', () => {
    const taken = new FakeLocks()
    const seat = seatAt(join(folder, 'x'), taken)
    expect(() => seatAt(join(folder, 'x'), taken)).toThrow(/belongs to another process/)
    seat.release()
  })
})

describe('finding', () => {
  test('what runs here: not what is stale, not what is elsewhere', async () => {
    const tunnel = await open({ bind: 'unix:/x', control: true })
    writeFileSync(socketOf('file'), '')
    const stale = createNetServer()
    await new Promise<void>((resolve) => stale.listen(socketOf('stale'), resolve))
    // As a killed process leaves it: closing removes the file, so it is kept under another name.
    const all = await findAll(env)
    expect(all.map(({ name }) => name)).toContain('zt7')
    stale.close()
    expect(await find('file', env)).toBeUndefined()
    expect(await find('none', env)).toBeUndefined()
    expect(await find('zt7', env)).toMatchObject({ name: 'zt7', status: { state: 'listening' } })
    expect(await lookFor({}, env)).toMatchObject({ name: 'zt7' })
    await expect(running({ name: 'none' }, env)).rejects.toMatchObject({ code: 'ZP_NOT_RUNNING' })
    await expect(lookFor({ name: 'a', socket: 'b' }, env)).rejects.toMatchObject({ code: 'ZP_OPTION' })
    await tunnel.close()
    rmSync(join(folder, String(NETNS)), { recursive: true, force: true })
    await expect(running({}, env)).rejects.toMatchObject({ code: 'ZP_NOT_RUNNING' })
  })

  test('which one, when several run', async () => {
    const first = await open({ bind: 'unix:/x', control: true })
    const addon = new FakeAddon()
    addon.tunnel = new (class extends FakeTunnel {
      override readonly name = 'zt8' as 'zt7'
    })(null)
    const second = await open({ connect: 'h:1', control: true }, {}, addon)
    await expect(lookFor({}, env)).rejects.toThrow('which tunnel? Name one of the 2 that run here: zt7, zt8')
    await first.close()
    await second.close()
  })

  test('something that is no ZPortal is said to be none', async () => {
    mkdirSync(join(folder, String(NETNS)))
    const server = createServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => server.listen(socketOf('zt9'), resolve))
    expect((await find('zt9', env))?.failure?.message).toMatch(/is no ZPortal/)
    server.removeAllListeners('request').on('request', (_, response) => response.end('{"version":2}'))
    expect((await find('zt9', env))?.failure?.message).toMatch(/another version: got version 2, this is 1/)
    await closed(server)
  })

  test('roots: the service its own, everybody the common one, users theirs', () => {
    const service = { RUNTIME_DIRECTORY: '/run/other:/run/zportal/lab', XDG_RUNTIME_DIR: '/run/user/9' }
    expect(rootsToServe(service)).toEqual(['/run/zportal/lab', '/run/zportal', '/run/user/9/zportal'])
    expect(rootsToServe({})).toEqual(['/run/zportal'])
    expect(rootsToSearch(service)).toEqual(
      expect.arrayContaining(['/run/zportal', '/run/zportal/lab', '/run/user/9/zportal']),
    )
    expect(rootsToSearch(env)).toEqual([folder])
  })
})

describe('waiting', () => {
  test('for a tunnel that starts later and comes up later', async () => {
    const addon = new FakeAddon()
    const waiting = waitUntilUp({ name: 'zt7' }, 20_000, env)
    const tunnel = await open({ connect: 'h:1', control: true }, {}, addon)
    await turn()
    await addon.tunnel.peerComes()
    expect(await waiting).toMatchObject({ state: 'up', name: 'zt7' })
    await tunnel.close()
  })

  test('in vain: for the time given, with what was last seen', async () => {
    expect(await waitUntilUp({}, 10, env)).toBeUndefined()
    const tunnel = await open({ connect: 'h:1', control: true })
    expect(await waitUntilUp({}, 100, env)).toMatchObject({ state: 'connecting' })
    await tunnel.close()
  })
})

describe('the record', () => {
  test('keeps the last changes and no more', async () => {
    const addon = new FakeAddon()
    const tunnel = await open({ bind: 'unix:/x' }, {}, addon)
    await turn()
    const recorder = record(tunnel)
    for (let turns = 0; turns < CHANGES_MAX; turns += 1) {
      await addon.tunnel.peerComes()
      await addon.tunnel.peerLeaves('ZP_LINK_LOST')
    }
    const { history, last } = recorder.recorded()
    expect(history).toHaveLength(CHANGES_MAX)
    expect(history.at(-1)).toMatchObject({ state: 'waiting', previous: 'up', reason: 'ZP_LINK_LOST' })
    expect(history.at(-2)).toMatchObject({ state: 'up', peer: PEER.address })
    expect(last?.state).toBe('waiting')
    recorder.stop()
    expect(tunnel.listenerCount('state')).toBe(0)
    await tunnel.close()
  })
})

describe('status for people', () => {
  test('one tunnel', () => {
    const stats = { ...STATUS.stats, rttUs: 12_345, minRttUs: 11_900, sojournP50Us: 1200, sojournP99Us: 4000 }
    const history = [{ at: '2026-01-01T00:00:00.000Z', state: 'up', previous: 'connecting', peer: 'h:1' }] as const
    const text = statusText({ ...STATUS, stats, history })
    expect(text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, 'TIME')).toBe(
      [
        'zt0  client, up for 1:02:03',
        '  peer      h:1 via 127.0.0.1:1080  v1',
        '  way       127.0.0.1:1080 → h:1',
        '  inside    10.0.0.2/24  mtu 1400',
        '  sent      1.25 Gbit/s  1.00 GiB  1.25M packets',
        '  received  3.00 kbit/s       0 B  0 packets',
        '  delay     round trip 12.3 ms (least 11.9 ms)   queue 1.20 ms, 99 % within 4.00 ms',
        '  drops     4: down 1, codel 3',
        '  process   pid 42  zportal 1.2.3  /etc/zportal/lab.toml',
        '  history   TIME  up          h:1',
        '',
      ].join('\n'),
    )
  })

  test('why it is not up, and when it tries again', () => {
    const reason = { code: 'ZP_LINK_LOST', message: 'the connection broke' }
    const text = statusText({ ...STATUS, state: 'waiting', stateMs: 2000, peer: null, reason, retryMs: 7000 })
    expect(text).toContain('  peer      none; dials h:1\n')
    expect(text).toContain('  why       ZP_LINK_LOST: the connection broke\n')
    expect(text).toContain('  retry     in 0:05\n')
  })

  test('several, a line each', () => {
    const lines = statusTable([
      STATUS,
      { ...STATUS, name: 'office', role: 'server', state: 'listening', peer: null, local: '0.0.0.0:7000' },
    ])
    expect(lines).toBe(
      [
        'NAME    ROLE    STATE      FOR      SENT         RECEIVED     DROPS  PEER',
        'zt0     client  up         1:02:03  1.25 Gbit/s  3.00 kbit/s  4      h:1 via 127.0.0.1:1080',
        'office  server  listening  1:02:03  1.25 Gbit/s  3.00 kbit/s  4      0.0.0.0:7000',
        '',
      ].join('\n'),
    )
  })

  test('times', () => {
    expect([0, 210, 9994, 12_345, 123_456, 1_200_000].map(formatMicroseconds)).toEqual([
      ...['0.00 ms', '0.21 ms', '9.99 ms', '12.3 ms', '123 ms', '1.20 s'],
    ])
    expect(
      changeText({ at: new Date(2026, 0, 2, 3, 4, 5).toISOString(), state: 'waiting', previous: 'up', reason: 'ZP_X' }),
    ).toBe('2026-01-02 03:04:05  waiting     ZP_X')
  })
})

function fetchUnix(socketPath: string, method: string, path: string): Promise<{ statusCode: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, method, path, agent: false }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => {
        resolve({ statusCode: response.statusCode ?? 0, body })
      })
    })
      .on('error', reject)
      .end()
  })
}

async function freePort(): Promise<number> {
  const server = createNetServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
  })
}

import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { createConnection, createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { askDown, askEvents, askReload, askSamples, askStatus, NobodyThere } from '../../src/control/client.js'
import { controlServer } from '../../src/control/server.js'
import { FakeAddon, PEER, turn } from './fake-native.js'
import { fetchUnix, NETNS, open, useRunDir } from './run-dir.js'

const run = useRunDir()

/** A server of nothing; a test puts in what it asks for. */
const NO_ANSWERS = {
  status: () => ({}),
  samples: () => ({}),
  metrics: () => '',
  down: () => Promise.resolve({}),
  reload: () => Promise.resolve({}),
  bench: () => Promise.resolve({}),
  follow: () => () => undefined,
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
    const socket = run.socketOf('zt7')
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
    expect(readdirSync(tmpdir())).not.toContain(run.folder.split('/').at(-1))
    await expect(askStatus(socket)).rejects.toBeInstanceOf(NobodyThere)
  })

  test('is there only when it is asked for', async () => {
    const tunnel = await open({ bind: 'unix:/x' })
    expect(readdirSync(run.folder)).toEqual([])
    await tunnel.close()
  })

  test('may lie where someone wants it, and nowhere else then', async () => {
    const path = join(run.folder, 'mine.sock')
    const tunnel = await open({ bind: 'unix:/x', control: path })
    expect(await askStatus(path)).toMatchObject({ name: 'zt7', role: 'server', local: '192.0.2.1:7000' })
    expect(readdirSync(run.folder).sort()).toEqual(['mine.sock', 'mine.sock.lock'])
    await tunnel.close()
    expect(readdirSync(run.folder)).toEqual([])
  })

  test.each([
    ['a folder that does not exist', () => join(run.folder, 'none', 'x.sock'), /cannot be made/],
    ['a file of another kind', () => join(run.folder, 'file'), /a file of another kind/],
  ])('that cannot be in %s fails the opening, and closes what was opened', async (_, path, sentence) => {
    writeFileSync(join(run.folder, 'file'), 'precious')
    const addon = new FakeAddon()
    await expect(open({ bind: 'unix:/x', control: path() }, {}, addon)).rejects.toMatchObject({
      code: 'ZP_CONTROL',
      message: expect.stringMatching(sentence) as string,
    })
    expect(addon.tunnel.closes).toBe(1)
    expect(readdirSync(run.folder)).toEqual(['file'])
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
    const failing = await open({ bind: 'unix:/x', control: join(run.folder, 'a.sock') })
    await expect(askReload(join(run.folder, 'a.sock'))).rejects.toMatchObject({ code: 'ZP_CONTROL' })
    const host = { reload: () => Promise.resolve({ applied: ['log-level'], next: ['connect'], restart: ['mtu'] }) }
    const tunnel = await open({ bind: 'unix:/x', control: join(run.folder, 'b.sock') }, host)
    expect(await askReload(join(run.folder, 'b.sock'))).toEqual({
      version: 1,
      applied: ['log-level'],
      next: ['connect'],
      restart: ['mtu'],
    })
    await failing.close()
    await tunnel.close()
  })

  test('says at once that it is at the end, which may take long', async () => {
    const path = join(run.folder, 'slow.sock')
    let finish: (status: object) => void = () => undefined
    const ended = new Promise<object>((resolve) => (finish = resolve))
    const { server, close } = controlServer({ ...NO_ANSWERS, down: () => ended })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const head = await new Promise<IncomingMessage>((resolve) =>
      request({ socketPath: path, method: 'POST', path: '/down' }, resolve).end(),
    )
    expect(head.statusCode).toBe(200)
    finish({ state: 'closed' })
    await Promise.all([expect(text(head)).resolves.toBe('{"state":"closed"}\n'), ended.then(close)])
  })

  test('tells events from the status on to the end', async () => {
    const addon = new FakeAddon()
    const tunnel = await open({ connect: 'h:1', once: true, control: true }, {}, addon)
    const events: Record<string, unknown>[] = []
    const reading = (async () => {
      for await (const line of askEvents(run.socketOf('zt7'))) events.push(JSON.parse(line) as Record<string, unknown>)
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
    const path = join(run.folder, 'teller.sock')
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
    const path = join(run.folder, 'dying.sock')
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
    await expect.poll(() => existsSync(run.socketOf('zt7'))).toBe(false)
  })

  test('refuses what it does not know, in JSON', async () => {
    const tunnel = await open({ bind: 'unix:/x', control: true })
    const ask = async (method: string, path: string) => {
      const answer = await fetchUnix(run.socketOf('zt7'), method, path)
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
    const noisy = createConnection(run.socketOf('zt7'), () => noisy.write('\0\x01nonsense\r\n\r\n'))
    const gone = new Promise((resolve) => noisy.on('close', resolve))
    noisy.on('error', () => undefined)
    await gone
    const silent = createConnection(run.socketOf('zt7'))
    silent.on('error', () => undefined)
    await new Promise((resolve) => silent.on('connect', resolve))
    expect(await askStatus(run.socketOf('zt7'))).toMatchObject({ name: 'zt7' })
    const startedAt = performance.now()
    await tunnel.close()
    expect(performance.now() - startedAt).toBeLessThan(900)
  })
})

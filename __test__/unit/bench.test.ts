import { connect } from 'node:net'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as after } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { gradeOf, riseOf, summary } from '../../src/bench/grade.js'
import type { BenchResult } from '../../src/bench/measure.js'
import { Parley } from '../../src/bench/parley.js'
import { meetingPlace, withZone } from '../../src/bench/place.js'
import type { BenchService } from '../../src/bench/service.js'
import { serveBench } from '../../src/bench/service.js'
import { formatWord, parseWord } from '../../src/bench/words.js'
import { benchText } from '../../src/face/bench-text.js'

describe('a word', () => {
  test.each([
    { bench: 'ask', id: 'a1', from: ['10.10.0.2', 'fd00::2'] },
    { bench: 'at', id: 'a1', host: '10.10.0.1', port: 4711, token: 'ab'.repeat(16) },
    { bench: 'no', id: 'a1', why: 'busy' },
  ] as const)('%o reads as it was written', (word) => {
    expect(parseWord(formatWord(word))).toEqual(word)
  })

  test('of many long addresses leaves some out, and fits', () => {
    const from = Array.from({ length: 9 }, (_, index) => `2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff${index}`)
    const text = formatWord({ bench: 'ask', id: 'f'.repeat(32), from })
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(252)
    expect(parseWord(text)).toMatchObject({ from: from.slice(0, 4) })
  })

  test.each([
    ['no JSON', 'hello'],
    ['no object', '[]'],
    ['null', 'null'],
    ['of another matter', '{"chat":"hi","id":"a"}'],
    ['without id', '{"bench":"no","why":"off"}'],
    ['with a long id', JSON.stringify({ bench: 'no', id: 'x'.repeat(33), why: 'off' })],
    ['with an unknown reason', '{"bench":"no","id":"a","why":"mood"}'],
    [
      'with a host that is none',
      '{"bench":"at","id":"a","host":"evil.example","port":1,"token":"' + 'a'.repeat(32) + '"}',
    ],
    ['with a zone', '{"bench":"at","id":"a","host":"fe80::1%eth0","port":1,"token":"' + 'a'.repeat(32) + '"}'],
    ['with port 0', '{"bench":"at","id":"a","host":"10.0.0.1","port":0,"token":"' + 'a'.repeat(32) + '"}'],
    ['with a short token', '{"bench":"at","id":"a","host":"10.0.0.1","port":1,"token":"aa"}'],
    ['with addresses that are none', '{"bench":"ask","id":"a","from":["10.0.0.1","there"]}'],
  ])('%s is none', (_, text) => {
    expect(parseWord(text)).toBeUndefined()
  })
})

describe('the meeting place', () => {
  const own = ['192.168.7.1/24', '10.10.0.1/24', 'fd00::1/64', 'fe80::1/64']
  test('is in a common network, else on the link, else where routes may lead', () => {
    expect(meetingPlace(own, ['10.10.0.2', 'fe80::2'])).toBe('10.10.0.1')
    expect(meetingPlace(own, ['fd00::2'])).toBe('fd00::1')
    expect(meetingPlace(own, ['172.16.0.1', 'fe80::2'])).toBe('fe80::1')
    expect(meetingPlace(own, ['172.16.0.1'])).toBe('192.168.7.1')
    expect(meetingPlace(['10.10.0.1/24'], ['fd00::2'])).toBeUndefined()
    expect(meetingPlace([], ['10.10.0.2'])).toBeUndefined()
  })

  test('has a zone where it needs one', () => {
    expect(withZone('fe80::1', 'zt0')).toBe('fe80::1%zt0')
    expect(withZone('10.10.0.1', 'zt0')).toBe('10.10.0.1')
  })
})

describe('the grade', () => {
  test.each([
    [0, 'A+'],
    [4.99, 'A+'],
    [5, 'A'],
    [30, 'B'],
    [60, 'C'],
    [200, 'D'],
    [400, 'F'],
    [1e6, 'F'],
  ])('of a rise by %d ms is %s', (rise, grade) => {
    expect(gradeOf(rise)).toBe(grade)
  })

  test('is by the median, which a few late pings do not move', () => {
    const idle = summary(5, [1, 1, 1, 1, 1])
    const loaded = summary(6, [4, 4, 4, 4, 900])
    expect(loaded).toEqual({ sent: 6, received: 5, minMs: 4, medianMs: 4, p99Ms: 900, maxMs: 900 })
    expect(riseOf(idle, loaded)).toBe(3)
    expect(riseOf(loaded, idle)).toBe(0)
    expect(riseOf(idle, summary(3, []))).toBeNull()
  })
})

test('people see a table and what the grade means', () => {
  const pings = summary(
    200,
    Array.from({ length: 199 }, () => 10.9),
  )
  const direction = { bitsPerSecond: 19_700_000, pings, riseMs: 9.8, streamRttMs: null }
  const result: BenchResult = {
    version: 1,
    name: 'zt0',
    peer: '192.0.2.1:7000',
    speech: 'v1 PING',
    seconds: 5,
    streams: 1,
    idle: { pings: summary(80, [1.1]), streamRttMs: 0.7 },
    download: direction,
    upload: direction,
    riseMs: 9.8,
    grade: 'A',
  }
  expect(benchText(result)).toMatch(
    /^zt0 with 192\.0\.2\.1:7000 \(v1 PING\), 1 stream, 5 s each way\n[^]*^download +19\.7 Mbit\/s +10\.9 ms +10\.9 ms +\+9\.80 ms +0\.5 % +\?\n[^]*\ngrade A: ping rises by 9\.80 ms under load; /m,
  )
  expect(benchText({ ...result, riseMs: null, grade: null })).toMatch(/\nno grade: no ping came back/)
})

describe('two ends', () => {
  /** Two parleys that hear each other; the device is one that has addresses everywhere. */
  function pair(isWelcome: boolean): { asker: Parley; other: Parley } {
    const asker: Parley = new Parley({ name: 'lo', say: (text) => (other.hear(text), true) }, false)
    const other: Parley = new Parley({ name: 'lo', say: (text) => (asker.hear(text), true) }, isWelcome)
    return { asker, other }
  }

  test('agree once at a time, and part', async () => {
    const { asker, other } = pair(true)
    const invitation = await asker.ask()
    expect(invitation).toMatchObject({ host: '127.0.0.1', token: expect.stringMatching(/^[0-9a-f]{32}$/) as string })
    await expect(asker.ask()).rejects.toMatchObject({ code: 'ZP_BENCH', message: /another bench just now/ })
    await other.close()
    await expect(asker.ask()).resolves.toMatchObject({ host: '127.0.0.1' })
    await other.close()
  })

  test('do not agree where one is not willing, or is lost', async () => {
    const { asker } = pair(false)
    await expect(asker.ask()).rejects.toMatchObject({ code: 'ZP_BENCH', message: /--no-bench/ })
    const alone = new Parley({ name: 'lo', say: () => true }, true)
    const asked = alone.ask()
    await expect(alone.ask()).rejects.toMatchObject({ code: 'ZP_BENCH', message: /being asked already/ })
    alone.lost()
    await expect(asked).rejects.toMatchObject({ code: 'ZP_BENCH', message: /was lost/ })
  })

  test('that hear words of no meaning say nothing', () => {
    const said: string[] = []
    const parley = new Parley({ name: 'lo', say: (text) => said.push(text) > 0 }, true)
    for (const text of ['', '{', '{"bench":"at"}', '{"bench":"no","id":"nobody","why":"off"}']) parley.hear(text)
    expect(said).toEqual([])
  })
})

describe('the service', () => {
  const TOKEN = '0123456789abcdef'.repeat(2)
  const guest = { host: '127.0.0.1', from: ['127.0.0.1'], token: TOKEN }

  async function said(service: BenchService, line: string, localAddress = '127.0.0.1'): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port: service.port, localAddress })
    socket.on('error', () => undefined)
    socket.write(line)
    let heard = ''
    socket.on('data', (bytes) => {
      heard += bytes.toString()
      socket.destroy()
    })
    await once(socket, 'close')
    return heard
  }

  test.each([
    ['without a token', '\n'],
    ['with a wrong token', `${'f'.repeat(32)} control\n`],
    ['with half a token', `${TOKEN.slice(0, 16)} control\n`],
    ['with an unknown wish', `${TOKEN} shell\n`],
    ['that wants bytes before there is a bench', `${TOKEN} source\n`],
    ['that talks without end', 'x'.repeat(10_000)],
  ])('closes on somebody %s', async (_, line) => {
    const service = await serveBench(guest)
    expect(await said(service, line)).toBe('')
    service.close()
    await service.ended
  })

  test('closes on somebody from elsewhere, even with the token', async () => {
    const service = await serveBench(guest)
    expect(await said(service, `${TOKEN} control\n`, '127.0.0.9')).toBe('')
    expect(await said(service, `${TOKEN} control\n`)).toBe('ready\n')
    await service.ended
  })

  test.each([
    ['says a line without end', 'x'.repeat(1000)],
    ['asks and never reads', 'count\n'.repeat(1_000_000)],
  ])('ends with a guest who %s', async (_, words) => {
    const service = await serveBench(guest)
    const control = connect(service.port, '127.0.0.1')
    control.on('error', () => undefined)
    control.write(`${TOKEN} control\n`)
    await once(control, 'data')
    control.pause()
    control.write(words)
    await service.ended
    control.destroy()
  })

  test('counts what it takes, gives what is wanted, returns what shows the token, and ends with its guest', async () => {
    const service = await serveBench(guest)
    const { port } = service
    const control = connect(port, '127.0.0.1')
    control.write(`${TOKEN} control\n`)
    expect(String((await once(control, 'data'))[0])).toBe('ready\n')

    const sink = connect(service.port, '127.0.0.1')
    sink.write(`${TOKEN} sink\n`)
    // The greeting in a segment of its own: what comes with it does not count.
    await after(50)
    sink.write(Buffer.alloc(100_000))
    let counted = { bytes: 0, ms: 0 }
    while (counted.bytes < 100_000) {
      control.write('count\n')
      counted = JSON.parse(String((await once(control, 'data'))[0])) as typeof counted
    }
    expect(counted.bytes).toBe(100_000)

    const source = connect(service.port, '127.0.0.1')
    source.on('error', () => undefined)
    source.write(`${TOKEN} source\n`)
    let given = 0
    for await (const bytes of source as AsyncIterable<Buffer>) if ((given += bytes.length) > 1_000_000) break

    const socket = createSocket('udp4')
    const ping = Buffer.concat([Buffer.from(TOKEN, 'hex'), Buffer.from('7')])
    const heard: string[] = []
    socket.on('message', (message) => heard.push(message.toString('hex')))
    socket.send(Buffer.from('no token at all, but long enough'), service.port, '127.0.0.1')
    socket.send(ping, service.port, '127.0.0.1')
    await once(socket, 'message')
    expect(heard).toEqual([ping.toString('hex')])
    socket.close()

    sink.on('error', () => undefined)
    control.destroy()
    await service.ended
    await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toThrow(/ECONNREFUSED/)
  })
})

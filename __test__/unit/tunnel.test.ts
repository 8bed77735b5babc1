import { beforeEach, describe, expect, test, vi } from 'vitest'
import { ZPortalError } from '../../src/errors.js'
import type { TunnelOptions } from '../../src/tunnel-options.js'
import { parseOptions } from '../../src/options.js'
import type { StateChange, TunnelNotice } from '../../src/tunnel-events.js'
import type { Tunnel } from '../../src/tunnel.js'
import { openTunnelWith } from '../../src/open.js'
import { failure, FakeAddon, FakeTunnel, PEER, turn } from './fake-native.js'

const SERVER = { bind: '192.0.2.1:7000' }
const CLIENT = { connect: '192.0.2.1:7000' }

let addon: FakeAddon
beforeEach(() => {
  addon = new FakeAddon()
})

function open(options: TunnelOptions): Promise<Tunnel> {
  return openTunnelWith(() => addon, options)
}

/** Opens a tunnel and writes down every change of its state from the first on. */
async function openWatched(options: TunnelOptions): Promise<{ tunnel: Tunnel; changes: string[] }> {
  const tunnel = await open(options)
  const changes: string[] = []
  tunnel.on('state', ({ previous, state, peer, reason }: StateChange) => {
    expect(tunnel.state).toBe(state)
    changes.push(`${previous} → ${state} ${peer?.address ?? reason?.code ?? ''}`.trim())
  })
  await turn()
  return { tunnel, changes }
}

async function codeOf(rejected: Promise<unknown>): Promise<string> {
  const error: unknown = await rejected.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ZPortalError)
  return (error as ZPortalError).code
}

describe('opening', () => {
  test('the addon gets what was parsed, in its own spelling', async () => {
    const tunnel = await open({
      name: 'zt%d',
      mtu: 1300,
      addresses: ['10.0.0.1/24', 'FD00::1/64'],
      routes: ['10.0.0.0/8', '0::/0'],
      connect: '[2001:DB8::1]:7000',
      proxies: ['unix:/run/socks', '192.0.2.1:1080'],
      dialTimeoutMs: 5000,
      offload: false,
      congestion: 'cubic',
    })
    expect(addon.opened).toEqual([
      {
        name: 'zt%d',
        mtuBytes: 1300,
        addresses: ['10.0.0.1/24', 'fd00::1/64'],
        routes: ['10.0.0.0/8', '::/0'],
        connect: '[2001:db8::1]:7000',
        allow: [],
        proxies: [
          { kind: 'socks5', address: 'unix:/run/socks' },
          { kind: 'socks5', address: '192.0.2.1:1080' },
        ],
        dialTimeoutMs: 5000,
        offload: false,
        congestion: 'cubic',
      },
    ])
    expect(tunnel).toMatchObject({ name: 'zt7', local: '192.0.2.1:7000', role: 'client', state: 'connecting' })
    await tunnel.close()
  })

  test('a server listens, and has no dial', async () => {
    const tunnel = await open(SERVER)
    expect(tunnel).toMatchObject({ role: 'server', state: 'listening', peer: undefined })
    expect(addon.opened[0]).toMatchObject({ bind: '192.0.2.1:7000', allow: [], proxies: [] })
    expect(addon.opened[0]).not.toHaveProperty('connect')
    await tunnel.close()
  })

  test("the addon's null is nobody's value", async () => {
    addon.tunnel = new FakeTunnel(null)
    const tunnel = await open(CLIENT)
    expect(tunnel.local).toBeUndefined()
    await tunnel.close()
  })

  test('options that are refused never reach the addon, nor load it', async () => {
    const load = vi.fn(() => addon)
    expect(await codeOf(openTunnelWith(load, { ...SERVER, mtu: 1 }))).toBe('ZP_OPTION')
    expect(load).not.toHaveBeenCalled()
  })

  test('a failure of the core rejects with its code', async () => {
    addon.onOpen = () => Promise.resolve({ failure: failure('ZP_TUN_PERMISSION') })
    expect(await codeOf(open(SERVER))).toBe('ZP_TUN_PERMISSION')
  })

  test.each([
    ['rejects', () => Promise.reject(new Error('panic'))],
    [
      'throws',
      () => {
        throw new Error('panic')
      },
    ],
    ['says nothing', () => Promise.resolve({} as never)],
  ])('an addon that %s is an internal error', async (_, onOpen) => {
    addon.onOpen = onOpen
    expect(await codeOf(open(SERVER))).toBe('ZP_INTERNAL')
  })
})

describe('the life of a server', () => {
  test('peers come and go, and the tunnel stays', async () => {
    const { tunnel, changes } = await openWatched(SERVER)
    await addon.tunnel.peerComes()
    expect(tunnel.peer).toEqual(PEER)
    await addon.tunnel.peerLeaves()
    expect(tunnel.peer).toBeUndefined()
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves('ZP_FRAME_CRC')
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves('ZP_LINK_LOST')
    expect(changes).toEqual([
      'listening → up 192.0.2.9:4711',
      'up → waiting ZP_PEER_CLOSED',
      'waiting → up 192.0.2.9:4711',
      'up → waiting ZP_FRAME_CRC',
      'waiting → up 192.0.2.9:4711',
      'up → waiting ZP_LINK_LOST',
    ])
    expect(addon.tunnel.closes).toBe(0)
    await tunnel.close()
  })

  test.each(['ZP_TUN_GONE', 'ZP_TUN_IO', 'ZP_INTERNAL', 'ZP_IO_URING'])(
    'after %s there is nothing to wait with',
    async (code) => {
      const { tunnel, changes } = await openWatched(SERVER)
      await addon.tunnel.peerComes()
      await addon.tunnel.peerLeaves(code)
      expect((await tunnel.closed).reason.code).toBe(code)
      expect(changes.at(-1)).toBe(`up → closed ${code}`)
      expect(addon.tunnel.closes).toBe(1)
    },
  )

  test('a listener that fails closes the tunnel', async () => {
    const { tunnel, changes } = await openWatched(SERVER)
    await addon.tunnel.peerFails('ZP_BIND')
    expect((await tunnel.closed).reason.code).toBe('ZP_BIND')
    expect(changes).toEqual(['listening → closed ZP_BIND'])
  })
})

describe('the life of a client', () => {
  test('it dials again when its peer leaves, and when a dial fails', async () => {
    const { tunnel, changes } = await openWatched(CLIENT)
    await addon.tunnel.peerFails('ZP_DIAL_REFUSED')
    expect(tunnel.reason?.code).toBe('ZP_DIAL_REFUSED')
    await addon.tunnel.peerFails('ZP_DIAL_TIMEOUT')
    await addon.tunnel.peerComes()
    expect(tunnel.reason).toBeUndefined()
    await addon.tunnel.peerLeaves('ZP_LINK_LOST')
    await addon.tunnel.peerComes()
    expect(changes).toEqual([
      'connecting → waiting ZP_DIAL_REFUSED',
      'waiting → waiting ZP_DIAL_TIMEOUT',
      'waiting → up 192.0.2.9:4711',
      'up → waiting ZP_LINK_LOST',
      'waiting → up 192.0.2.9:4711',
    ])
    expect(addon.tunnel.closes).toBe(0)
    await tunnel.close()
    expect(tunnel.reason?.code).toBe('ZP_CLOSED')
  })

  test('it waits longer after each failure, and says how long', async () => {
    const { tunnel } = await openWatched(CLIENT)
    const told: (number | undefined)[] = []
    tunnel.on('state', (change) => told.push('retryMs' in change ? change.retryMs : undefined))
    for (let failures = 0; failures < 10; failures += 1) await addon.tunnel.peerFails('ZP_DIAL_REFUSED')
    const [first, ...pauses] = addon.tunnel.pausesMs
    expect(first).toBe(0)
    expect(pauses).toEqual(told)
    const bounds = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]
    pauses.forEach((pause, index) => {
      expect(pause).toBeGreaterThanOrEqual((bounds[index] ?? 0) / 2)
      expect(pause).toBeLessThanOrEqual(bounds[index] ?? 0)
    })
    await tunnel.close()
  })

  test('a session that carried something begins the pauses anew, one that did not does not', async () => {
    const { tunnel } = await openWatched(CLIENT)
    for (let failures = 0; failures < 8; failures += 1) await addon.tunnel.peerFails('ZP_DIAL_REFUSED')
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves()
    expect(addon.tunnel.pausesMs.at(-1)).toBeGreaterThanOrEqual(2500)
    await addon.tunnel.peerComes()
    addon.tunnel.packets = 1
    await addon.tunnel.peerLeaves()
    expect(addon.tunnel.pausesMs.at(-1)).toBeLessThanOrEqual(100)
    await tunnel.close()
  })

  test.each(['ZP_TUN_GONE', 'ZP_TUN_IO', 'ZP_INTERNAL', 'ZP_OPTION'])('no dial helps after %s', async (code) => {
    const { tunnel, changes } = await openWatched(CLIENT)
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves(code)
    expect((await tunnel.closed).reason.code).toBe(code)
    expect(changes.at(-1)).toBe(`up → closed ${code}`)
  })

  test('a password that was never right ends it; one that was right before does not', async () => {
    const { tunnel } = await openWatched(CLIENT)
    await addon.tunnel.peerFails('ZP_PROXY_AUTH')
    expect((await tunnel.closed).reason.code).toBe('ZP_PROXY_AUTH')

    addon = new FakeAddon()
    const { tunnel: another } = await openWatched(CLIENT)
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves()
    await addon.tunnel.peerFails('ZP_PROXY_AUTH')
    expect(another.state).toBe('waiting')
    await another.close()
  })

  test('once: it closes when its peer leaves, with the reason', async () => {
    const { tunnel, changes } = await openWatched({ ...CLIENT, once: true })
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves()
    expect((await tunnel.closed).reason.code).toBe('ZP_PEER_CLOSED')
    expect(changes).toEqual(['connecting → up 192.0.2.9:4711', 'up → closed ZP_PEER_CLOSED'])
    expect(addon.tunnel.closes).toBe(1)
    expect(addon.tunnel.establishes).toBe(1)
  })

  test('what the shell keeps can change meanwhile, and what the core does is passed on or refused', async () => {
    const { tunnel } = await openWatched(CLIENT)
    await addon.tunnel.peerComes()
    tunnel.changeShell(parseOptions({ ...CLIENT, once: true, bench: true }))
    tunnel.changeCore(parseOptions({ connect: '192.0.2.2:7000', mtu: 1300, routes: ['198.51.100.0/24'] }))
    expect(addon.tunnel.changes).toMatchObject([{ connect: '192.0.2.2:7000', routes: ['198.51.100.0/24'] }])
    // What needs a restart is as it was.
    const holding = {
      ...{ connect: { host: '192.0.2.2' }, routes: [{ address: '198.51.100.0' }] },
      ...{ once: true, bench: true, mtuBytes: 1400 },
    }
    expect(tunnel.options).toMatchObject(holding)
    addon.tunnel.changeFailure = failure('ZP_SO_MARK')
    expect(() => {
      tunnel.changeCore(parseOptions({ connect: '192.0.2.3:7000', routes: ['10.0.0.0/8'] }))
    }).toThrow('ZP_SO_MARK')
    expect(tunnel.options).toMatchObject(holding)
    await addon.tunnel.peerLeaves()
    expect((await tunnel.closed).reason.code).toBe('ZP_PEER_CLOSED')
  })

  test('once: it closes when the dial fails, with the reason', async () => {
    const { tunnel, changes } = await openWatched({ ...CLIENT, once: true })
    await addon.tunnel.peerFails('ZP_DIAL_REFUSED')
    expect((await tunnel.closed).reason.code).toBe('ZP_DIAL_REFUSED')
    expect(changes).toEqual(['connecting → closed ZP_DIAL_REFUSED'])
    expect(addon.tunnel.closes).toBe(1)
  })

  test('an addon that breaks closes it with an internal error', async () => {
    const { tunnel } = await openWatched(CLIENT)
    await addon.tunnel.breaks(new Error('panic'))
    expect((await tunnel.closed).reason).toMatchObject({ code: 'ZP_INTERNAL', cause: new Error('panic') })
  })
})

describe('closing', () => {
  test.each([
    ['while it looks for a peer', () => Promise.resolve(), 'listening'],
    ['while it is up', () => addon.tunnel.peerComes(), 'up'],
    [
      'while it waits',
      async () => {
        await addon.tunnel.peerComes()
        await addon.tunnel.peerLeaves()
      },
      'waiting',
    ],
  ])('%s', async (_, before, state) => {
    const { tunnel, changes } = await openWatched(SERVER)
    await before()
    expect(tunnel.state).toBe(state)
    const establishes = addon.tunnel.establishes
    await tunnel.close()
    expect(tunnel.state).toBe('closed')
    expect(tunnel.peer).toBeUndefined()
    await turn()
    expect(changes.at(-1)).toBe(`${state} → closed ZP_CLOSED`)
    expect(changes.filter((change) => change.includes('closed'))).toHaveLength(1)
    expect(addon.tunnel.establishes).toBe(establishes)
  })

  test('before its first turn: no peer is looked for', async () => {
    const tunnel = await open(SERVER)
    await tunnel.close()
    await turn()
    expect(addon.tunnel.establishes).toBe(0)
    expect(tunnel.state).toBe('closed')
  })

  test('twice, at once and later: the core closes once and the first reason stays', async () => {
    const tunnel = await open(SERVER)
    await Promise.all([tunnel.close(), tunnel.close()])
    await tunnel.close()
    expect(addon.tunnel.closes).toBe(1)
    expect((await tunnel.closed).reason.code).toBe('ZP_CLOSED')
  })

  test('by await using', async () => {
    let tunnel: Tunnel
    {
      await using scoped = await open(SERVER)
      tunnel = scoped
    }
    expect(tunnel.state).toBe('closed')
    expect(addon.tunnel.closes).toBe(1)
  })

  test('a close that fails still ends in closed, and says so', async () => {
    addon.tunnel.closeError = new Error('stuck')
    const tunnel = await open(SERVER)
    const notices: TunnelNotice[] = []
    tunnel.on('notice', (notice) => notices.push(notice))
    await tunnel.close()
    expect(tunnel.state).toBe('closed')
    expect(notices).toEqual([{ level: 'warn', code: 'ZP_INTERNAL', message: 'closing failed: Error: stuck' }])
  })

  test('the counters stay readable', async () => {
    const { tunnel } = await openWatched(SERVER)
    await addon.tunnel.peerComes()
    await tunnel.close()
    expect(tunnel.stats().peersAccepted).toBe(1)
  })
})

describe('the signal', () => {
  test('aborted before: nothing is created', async () => {
    const signal = AbortSignal.abort(new Error('changed my mind'))
    const error: unknown = await open({ ...SERVER, signal }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'ZP_ABORTED', cause: new Error('changed my mind') })
    expect(addon.opened).toEqual([])
  })

  test('aborted while opening: what was created is removed before it rejects', async () => {
    const controller = new AbortController()
    addon.onOpen = async () => {
      await turn()
      controller.abort()
      return { value: addon.tunnel }
    }
    expect(await codeOf(open({ ...SERVER, signal: controller.signal }))).toBe('ZP_ABORTED')
    expect(addon.tunnel.closes).toBe(1)
  })

  test('aborted later: it closes the tunnel', async () => {
    const controller = new AbortController()
    const { tunnel, changes } = await openWatched({ ...SERVER, signal: controller.signal })
    await addon.tunnel.peerComes()
    controller.abort()
    expect((await tunnel.closed).reason.code).toBe('ZP_ABORTED')
    expect(changes.at(-1)).toBe('up → closed ZP_ABORTED')
  })

  test('is let go when the tunnel closes for another reason', async () => {
    const controller = new AbortController()
    const remove = vi.spyOn(controller.signal, 'removeEventListener')
    const tunnel = await open({ ...SERVER, signal: controller.signal })
    await tunnel.close()
    expect(remove).toHaveBeenCalledOnce()
    controller.abort()
    expect((await tunnel.closed).reason.code).toBe('ZP_CLOSED')
  })
})

describe('whenUp', () => {
  test('resolves when a peer comes, and at once while it is there', async () => {
    const { tunnel } = await openWatched(SERVER)
    const waiting = tunnel.whenUp()
    await addon.tunnel.peerComes()
    expect(await waiting).toEqual(PEER)
    expect(await tunnel.whenUp()).toEqual(PEER)
    expect(tunnel.listenerCount('state')).toBe(1)
    await tunnel.close()
  })

  test('waits through a loss for the next peer', async () => {
    const { tunnel } = await openWatched(SERVER)
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves()
    const waiting = tunnel.whenUp()
    await addon.tunnel.peerComes({ ...PEER, address: 'unix:' })
    expect(await waiting).toMatchObject({ address: 'unix:' })
    await tunnel.close()
  })

  test('waits through dials that fail', async () => {
    const { tunnel } = await openWatched(CLIENT)
    const waiting = tunnel.whenUp()
    await addon.tunnel.peerFails('ZP_DIAL_REFUSED')
    await addon.tunnel.peerFails('ZP_DIAL_TIMEOUT')
    await addon.tunnel.peerComes()
    expect(await waiting).toEqual(PEER)
    await tunnel.close()
  })

  test('rejects with the reason when the tunnel closes first, and afterwards', async () => {
    const { tunnel } = await openWatched({ ...CLIENT, once: true })
    const waiting = codeOf(tunnel.whenUp())
    await addon.tunnel.peerFails('ZP_DIAL_TIMEOUT')
    expect(await waiting).toBe('ZP_DIAL_TIMEOUT')
    expect(await codeOf(tunnel.whenUp())).toBe('ZP_DIAL_TIMEOUT')
    expect(tunnel.listenerCount('state')).toBe(1)
  })

  test('its signal ends the waiting and nothing else', async () => {
    const { tunnel } = await openWatched(SERVER)
    const controller = new AbortController()
    const waiting = codeOf(tunnel.whenUp({ signal: controller.signal }))
    controller.abort()
    expect(await waiting).toBe('ZP_ABORTED')
    expect(await codeOf(tunnel.whenUp({ signal: controller.signal }))).toBe('ZP_ABORTED')
    expect(tunnel.state).toBe('listening')
    expect(tunnel.listenerCount('state')).toBe(1)
    await tunnel.close()
  })
})

describe('events', () => {
  const notice = { level: 'info', code: 'seat-taken', message: 'someone was turned away' } as const

  test('notices of the opening wait for the caller', async () => {
    addon.onOpen = () => {
      addon.notify(notice)
      return Promise.resolve({ value: addon.tunnel })
    }
    const tunnel = await open(SERVER)
    const heard: TunnelNotice[] = []
    tunnel.on('notice', (heardNotice) => heard.push(heardNotice))
    await turn()
    addon.notify({ ...notice, code: 'later' })
    expect(heard.map(({ code }) => code)).toEqual(['seat-taken', 'later'])
    await tunnel.close()
  })

  test("a listener's error reaches the process and leaves the tunnel alone", async () => {
    const { tunnel, changes } = await openWatched(SERVER)
    tunnel.prependListener('state', () => {
      throw new Error('a bug of the listener')
    })
    const uncaught: unknown[] = []
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
    await addon.tunnel.peerComes()
    await addon.tunnel.peerLeaves()
    await tunnel.close()
    await turn()
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
    expect(uncaught).toEqual(Array(3).fill(new Error('a bug of the listener')))
    expect(tunnel.state).toBe('closed')
    expect(changes).toEqual([])
  })
})

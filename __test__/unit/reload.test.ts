import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Changing } from '../../src/config/reload.js'
import { reloader, soundOptions } from '../../src/config/reload.js'
import { optionsFrom } from '../../src/config/settings.js'
import { ZPortalError } from '../../src/errors.js'
import type { ParsedOptions } from '../../src/options.js'
import type { TunnelOptions } from '../../src/tunnel-options.js'

const folder = mkdtempSync(join(tmpdir(), 'zportal-reload-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** A tunnel that notes what it is told. */
class Told implements Changing {
  readonly shell: ParsedOptions[] = []
  readonly core: ParsedOptions[] = []
  constructor(readonly role: 'server' | 'client') {}
  changeShell(next: ParsedOptions): void {
    this.shell.push(next)
  }
  changeCore(next: ParsedOptions): void {
    this.core.push(next)
  }
}

/** A tunnel that was begun with some settings, and what comes of reading others. */
function begun(role: 'server' | 'client', settings: Record<string, unknown>) {
  const tunnel = new Told(role)
  const levels: string[] = []
  let next = settings
  const asked = (from: Record<string, unknown>) => optionsFrom(from) as unknown as TunnelOptions
  const reload = reloader(
    asked(settings),
    () => Promise.resolve(soundOptions({ options: asked(next), nameOf: (option) => option })),
    (level) => levels.push(level),
  )
  return {
    tunnel,
    levels,
    read: (changed: Record<string, unknown>) => {
      next = changed
      return reload(tunnel)
    },
  }
}

const CLIENT = { connect: '192.0.2.1:7000', proxy: ['192.0.2.9:1080'] }
const SERVER = { bind: '192.0.2.1:7000' }
const NOTHING = { applied: [], next: [], restart: [] }

describe('a reload', () => {
  test('of what is as before does nothing', async () => {
    const { tunnel, read } = begun('client', CLIENT)
    expect(await read(CLIENT)).toEqual(NOTHING)
    expect([...tunnel.core, ...tunnel.shell]).toEqual([])
  })

  test('tells what holds now, what holds from the next dial on, and what takes a restart', async () => {
    const { tunnel, levels, read } = begun('client', { ...CLIENT, mtu: 1400 })
    const changed = {
      ...{ connect: '192.0.2.2:7000', mtu: 1300, 'dial-timeout': 3, 'hook-up': 'true', once: true },
      ...{ congestion: 'cubic', 'log-level': 'warn', 'so-mark': 7 },
    }
    expect(await read(changed)).toEqual({
      applied: ['once', 'log-level', 'hook-up'],
      next: ['connect', 'proxy', 'dial-timeout', 'congestion', 'so-mark'],
      restart: ['mtu'],
    })
    expect(tunnel.core).toMatchObject([{ connect: { host: '192.0.2.2' }, proxies: [], dialTimeoutMs: 3000, soMark: 7 }])
    expect(tunnel.shell).toMatchObject([{ hooks: { up: 'true' }, once: true }])
    expect(levels).toEqual(['warn'])
    // What takes a restart is named until it has had it; the rest is as before now.
    expect(await read(changed)).toEqual({ ...NOTHING, restart: ['mtu'] })
  })

  test('routes otherwise at once, also where nothing else differs', async () => {
    for (const [role, settings] of [['client', CLIENT] as const, ['server', SERVER] as const]) {
      const { tunnel, read } = begun(role, { ...settings, route: ['10.0.0.0/8'] })
      expect(await read({ ...settings, route: ['fd00::/8'] })).toEqual({ ...NOTHING, applied: ['route'] })
      expect(tunnel.core).toMatchObject([{ routes: [{ address: 'fd00::', prefixBits: 8 }] }])
      // None is a change as well.
      expect(await read(settings)).toEqual({ ...NOTHING, applied: ['route'] })
      await expect(read({ ...settings, route: ['10.1.2.3/8'] })).rejects.toMatchObject({ code: 'ZP_OPTION' })
      expect(tunnel.core).toHaveLength(2)
    }
  })

  test('of a password file sees that its content differs', async () => {
    const file = join(folder, 'passwords')
    writeFileSync(file, 'one\n')
    const settings = { connect: '192.0.2.1:7000', proxy: ['http://me@192.0.2.9:80'], 'proxy-password-file': file }
    const { tunnel, read } = begun('client', settings)
    expect(await read(settings)).toEqual(NOTHING)
    writeFileSync(file, 'two\n')
    expect(await read(settings)).toEqual({ ...NOTHING, next: ['proxy-password-file'] })
    const [next] = tunnel.core
    expect(next?.role === 'client' && next.proxies[0]?.login?.password?.reveal()).toBe('two')
  })

  test('lets a server take others; where it listens, and its mark, take a restart', async () => {
    const { tunnel, read } = begun('server', SERVER)
    const changed = { bind: '192.0.2.1:7001', allow: ['198.51.100.0/24'], 'so-mark': 9 }
    expect(await read(changed)).toEqual({ applied: ['allow'], next: [], restart: ['bind', 'so-mark'] })
    expect(tunnel.core).toHaveLength(1)
  })

  test('does not make one end of the other', async () => {
    const { tunnel, read } = begun('server', SERVER)
    const wanted = { ...CLIENT, once: true, 'hook-down': 'true' }
    expect(await read(wanted)).toEqual({
      applied: ['once', 'hook-down'],
      next: [],
      restart: ['bind', 'connect', 'proxy'],
    })
    expect(tunnel.core).toEqual([])
  })

  test('of what is wrong, or refused, changes nothing', async () => {
    const { tunnel, levels, read } = begun('client', CLIENT)
    await expect(read({ ...CLIENT, mtu: 1, 'log-level': 'warn' })).rejects.toMatchObject({ code: 'ZP_OPTION' })
    tunnel.changeCore = () => {
      throw new ZPortalError('ZP_SO_MARK', 'no')
    }
    const changed = { ...CLIENT, 'so-mark': 5, 'hook-up': 'true', 'log-level': 'warn' }
    await expect(read(changed)).rejects.toMatchObject({ code: 'ZP_SO_MARK' })
    expect([tunnel.core, tunnel.shell, levels]).toEqual([[], [], []])
  })
})

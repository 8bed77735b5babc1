import type { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ZPortalError } from '../../src/errors.js'
import { hookEnvironment } from '../../src/hook/environment.js'
import type { HookRun } from '../../src/hook/run.js'
import { runHook } from '../../src/hook/run.js'
import type { HookNotice, ParsedHooks } from '../../src/hook/tunnel-hooks.js'
import { TunnelHooks } from '../../src/hook/tunnel-hooks.js'

/** Stands in for `spawn` while it is set. */
const { another } = vi.hoisted(() => ({ another: { spawn: undefined as (() => unknown) | undefined } }))
vi.mock('node:child_process', async (importOriginal) => {
  const real = await importOriginal<{ spawn: typeof spawn }>()
  return { ...real, spawn: (...args: Parameters<typeof spawn>) => another.spawn?.() ?? real.spawn(...args) }
})

const FACTS = {
  name: 'zt0',
  role: 'client',
  local: undefined,
  mtuBytes: 1400,
  addresses: ['10.10.0.2/24', 'fd00::2/64'],
  routes: ['0.0.0.0/0'],
} as const

const LOST = new ZPortalError('ZP_LINK_LOST', 'the connection to the peer broke')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zportal-hook-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Runs a command and gives its lines and what went wrong. */
async function ran(command: string, more: Partial<HookRun> = {}) {
  const lines: string[] = []
  const env = { PATH: process.env['PATH'], OUT: join(folder, 'out') }
  const failure = await runHook({ command, env, timeoutMs: 20_000, say: (line) => lines.push(line), ...more })
  return { lines, failure }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

describe('one run', () => {
  test('that no descriptors are left for is a failure like another', async () => {
    // What Node gives then has no pipes, and says what is wrong in the next turn.
    another.spawn = () => {
      const child = Object.assign(new EventEmitter(), { pid: undefined, stdout: undefined, stderr: undefined })
      setImmediate(() => child.emit('error', new Error('spawn /bin/sh EMFILE')))
      return child
    }
    expect(await ran('true')).toEqual({ lines: [], failure: 'cannot be started: spawn /bin/sh EMFILE' })
    another.spawn = undefined
  })

  test('that the system refuses at once is a failure like another', async () => {
    const env = { BIG: 'x'.repeat(4 * 1024 * 1024) }
    expect((await ran('true', { env })).failure).toMatch(/^cannot be started: .*E2BIG/)
  })

  test('is told line by line, and passes with exit code 0', async () => {
    expect(await ran('echo one; echo; echo two >&2; printf three')).toEqual({
      lines: expect.arrayContaining(['one', 'two', 'three']) as string[],
      failure: undefined,
    })
  })

  test.each([
    ['exit 3', 'ended with exit code 3'],
    ['kill -KILL $$', 'was ended by SIGKILL'],
    ['no-such-program-here', 'ended with exit code 127'],
  ])('%s: %s', async (command, failure) => {
    expect((await ran(command)).failure).toBe(failure)
  })

  test('that takes too long ends with all of its group', async () => {
    const command = 'sleep 60 & echo $!; echo $$; trap "" TERM; sleep 60'
    const startedAt = performance.now()
    const { lines, failure } = await ran(command, { timeoutMs: 300 })
    expect(failure).toBe('took longer than 0.3 s and was ended')
    expect(performance.now() - startedAt).toBeLessThan(15_000)
    expect(lines).toHaveLength(2)
    expect(lines.map(Number).filter(isRunning)).toEqual([])
  })

  test('is ended before its time on request', async () => {
    const abort = new AbortController()
    const run = ran('echo begun; exec sleep 60', {
      signal: abort.signal,
      say: () => {
        abort.abort()
      },
    })
    expect((await run).failure).toContain('had to end at once')
    expect((await ran('echo never', { signal: abort.signal })).failure).toContain('had to end at once')
  })

  test('may leave something in the background, which nobody waits for', async () => {
    const { lines, failure } = await ran('sleep 60 & echo $!')
    expect(failure).toBeUndefined()
    expect(isRunning(Number(lines[0]))).toBe(true)
    process.kill(Number(lines[0]), 'SIGKILL')
  })

  test('is cut where it babbles', async () => {
    const { lines } = await ran('head -c 3000000 /dev/zero | tr "\\0" x; echo; yes line | head -n 5000')
    expect(lines).toHaveLength(201)
    expect(lines[0]).toBe('x'.repeat(1000))
    expect(lines.at(-1)).toBe('(4801 lines more)')
  })
})

describe('the environment', () => {
  test('has what is known, and nothing for what is not', () => {
    const told = hookEnvironment(
      { ...FACTS, event: 'up', peer: '192.0.2.1:7000', reason: undefined },
      { HOME: '/root' },
    )
    expect(told).toEqual({
      HOME: '/root',
      ZPORTAL_HOOK: 'up',
      ZPORTAL_NAME: 'zt0',
      ZPORTAL_ROLE: 'client',
      ZPORTAL_PEER: '192.0.2.1:7000',
      ZPORTAL_MTU: '1400',
      ZPORTAL_ADDRESSES: '10.10.0.2/24 fd00::2/64',
      ZPORTAL_ROUTES: '0.0.0.0/0',
    })
  })

  test("has a reason, in one line whatever the peer's words were", () => {
    const reason = new ZPortalError('ZP_PEER_CLOSED', 'it said: bye\0\nrm -rf /')
    expect(hookEnvironment({ ...FACTS, event: 'down', peer: undefined, reason }, {})).toMatchObject({
      ZPORTAL_REASON: 'ZP_PEER_CLOSED',
      ZPORTAL_REASON_TEXT: 'it said: bye rm -rf /',
    })
  })

  test('does not speak to the service manager in our name, nor of an outer tunnel', () => {
    const inherited = { NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '1', ZPORTAL_PEER: 'of another', PATH: '/bin' }
    const told = hookEnvironment({ ...FACTS, event: 'down', peer: undefined, reason: LOST }, inherited)
    expect(Object.keys(told).filter((key) => key in inherited)).toEqual(['PATH'])
  })

  test('carries values, never commands', async () => {
    const peer = '$(touch "$OUT"); `touch "$OUT"`'
    const env = hookEnvironment({ ...FACTS, event: 'up', peer, reason: undefined }, process.env)
    const { lines } = await ran('echo "$ZPORTAL_PEER"', { env: { ...env, OUT: join(folder, 'out') } })
    expect(lines).toEqual([peer])
    expect(() => readFileSync(join(folder, 'out'))).toThrow('ENOENT')
  })
})

describe('the hooks of a tunnel', () => {
  /** Hooks that say their event and reason, and what was told of them. */
  function hooksThat(more: Partial<ParsedHooks> = {}) {
    const told: string[] = []
    const say = 'echo "$ZPORTAL_HOOK ${ZPORTAL_REASON-}"'
    const hooks: ParsedHooks = { up: say, down: say, reconnect: say, timeoutMs: 20_000, required: false, ...more }
    const tell = ({ level, code, message }: HookNotice) => told.push(`${level} ${code} ${message}`)
    return { told, hooks: new TunnelHooks(hooks, FACTS, tell, { PATH: process.env['PATH'] }) }
  }

  test('up once, reconnect afterwards, down at the end', async () => {
    const { told, hooks } = hooksThat()
    await hooks.up('the peer', undefined)
    await hooks.up('the peer', LOST)
    await hooks.down(new ZPortalError('ZP_CLOSED', 'closed by request'))
    expect(told).toEqual([
      'info hook-up up',
      'info hook-reconnect reconnect ZP_LINK_LOST',
      'info hook-down down ZP_CLOSED',
    ])
  })

  test('one at a time; of the reconnects that wait, the last', async () => {
    const { told, hooks } = hooksThat({ up: 'echo begin; sleep 0.3; echo end', reconnect: 'echo to "$ZPORTAL_PEER"' })
    await Promise.all([hooks.up('a', undefined), hooks.up('b', LOST), hooks.up('c', LOST)])
    expect(told).toEqual(['info hook-up begin', 'info hook-up end', 'info hook-reconnect to c'])
  })

  test('no down without up', async () => {
    const { told, hooks } = hooksThat()
    await hooks.down(LOST)
    expect(told).toEqual([])
  })

  test('one that fails is said; only where it is required it ends the tunnel', async () => {
    const kept = hooksThat({ up: 'exit 1' })
    expect(await kept.hooks.up('the peer', undefined)).toBeUndefined()
    expect(kept.told).toEqual(['warn hook-up the up hook ended with exit code 1'])
    const ended = hooksThat({ up: 'exit 1', reconnect: 'exit 1', required: true })
    expect(await ended.hooks.up('the peer', undefined)).toMatchObject({ code: 'ZP_HOOK' })
    expect(await ended.hooks.up('the peer', LOST)).toBeUndefined()
  })

  test('the end waits for no hook but the last', async () => {
    const { told, hooks } = hooksThat({ up: 'echo begin; exec sleep 60', required: true })
    const up = hooks.up('the peer', undefined)
    await expect.poll(() => told).toEqual(['info hook-up begin'])
    await hooks.down(LOST)
    expect(told.at(-1)).toBe('info hook-down down ZP_LINK_LOST')
    expect(await up).toBeUndefined()
  })
})

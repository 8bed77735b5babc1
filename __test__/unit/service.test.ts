import { EventEmitter } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import { ZPortalError } from '../../src/errors.js'
import type { Followed } from '../../src/service/notifier.js'
import { notifier, watchdogMs } from '../../src/service/notifier.js'
import type { UnitFacts } from '../../src/service/unit.js'
import { unitName, unitText } from '../../src/service/unit.js'

const FACTS: UnitFacts = {
  name: 'lab',
  version: '1.2.3',
  node: '/usr/bin/node',
  program: '/usr/lib/node_modules/zportal/bin/run.js',
  packageFolder: '/usr/lib/node_modules/zportal',
  config: { path: '/etc/zportal/lab.toml', isPublic: true },
  role: 'client',
  port: undefined,
  socketPaths: [],
  credentials: [],
  hasHooks: false,
  hookSeconds: 10,
}

/** The assignments of a unit, in order. */
function lines(facts: Partial<UnitFacts> = {}): string[] {
  return unitText({ ...FACTS, ...facts })
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
}

describe('the unit', () => {
  test('runs up with the config, and is ready when it says so', () => {
    expect(unitName('lab')).toBe('zportal@lab.service')
    expect(lines()).toEqual(
      expect.arrayContaining([
        'Type=notify',
        'ExecStart=/usr/bin/node /usr/lib/node_modules/zportal/bin/run.js up -f /etc/zportal/lab.toml',
        'ExecReload=/bin/kill -HUP $MAINPID',
        'RestartPreventExitStatus=2',
        'TimeoutStopSec=20',
        'WantedBy=multi-user.target',
      ]),
    )
    expect(unitText(FACTS)).toContain('zportal 1.2.3')
  })

  test('has one capability, and a second only for a low port', () => {
    for (const port of [undefined, 0, 1024, 7000]) {
      expect(lines({ role: 'server', port })).toContain('CapabilityBoundingSet=CAP_NET_ADMIN')
    }
    expect(lines({ role: 'server', port: 443 })).toContain('AmbientCapabilities=CAP_NET_ADMIN CAP_NET_BIND_SERVICE')
  })

  test('a client may take for ever until its peer is there, a server may not', () => {
    expect(lines()).toContain('TimeoutStartSec=infinity')
    expect(lines({ role: 'server' })).not.toContain('TimeoutStartSec=infinity')
  })

  test('a config that others may not read comes as a credential, and cannot be read again', () => {
    const unit = lines({ config: { path: '/etc/zportal/lab.toml', isPublic: false } })
    expect(unit).toContain('LoadCredential=lab.toml:/etc/zportal/lab.toml')
    expect(unit.find((line) => line.startsWith('ExecStart='))).toMatch(/up -f \$\{CREDENTIALS_DIRECTORY\}\/lab\.toml$/)
    expect(unit.some((line) => line.startsWith('ExecReload='))).toBe(false)
  })

  test('credentials are passed by name', () => {
    const credentials = [{ name: 'proxy-password', path: '/etc/zportal/credentials/proxy-password' }]
    expect(lines({ credentials })).toContain('LoadCredential=proxy-password:/etc/zportal/credentials/proxy-password')
  })

  test('fences stand further off where a socket or the program lies behind them', () => {
    expect(lines()).toEqual(expect.arrayContaining(['ProtectHome=yes', 'PrivateTmp=yes', 'ProtectSystem=strict']))
    const shared = lines({ socketPaths: ['/shared/zt.sock', '/run/zportal/x.sock'] })
    expect(shared).toContain('ReadWritePaths=-/shared')
    expect(shared.join()).not.toContain('ReadWritePaths=-/run')
    expect(lines({ packageFolder: '/tmp/clone' })).toContain('BindReadOnlyPaths=/tmp/clone')
    expect(lines().some((line) => line.startsWith('BindReadOnlyPaths='))).toBe(false)
    expect(lines({ node: '/home/me/.nvm/node' })).toContain('ProtectHome=read-only')
    expect(lines({ hasHooks: true }).filter((line) => line.startsWith('SystemCallFilter='))).toHaveLength(1)
  })

  test('nothing in a path is a specifier, a variable or two words', () => {
    const unit = lines({
      node: '/opt/my node/%n/$HOME/"node"',
      config: { path: '/etc/zportal/100%.toml', isPublic: true },
    })
    expect(unit.find((line) => line.startsWith('ExecStart='))).toBe(
      'ExecStart="/opt/my node/%%n/$$HOME/\\"node\\"" /usr/lib/node_modules/zportal/bin/run.js up -f "/etc/zportal/100%%.toml"',
    )
  })
})

describe('the service manager', () => {
  class Tunnel extends EventEmitter {
    role: 'server' | 'client' = 'client'
    state: Followed['state'] = 'connecting'
    local: string | undefined
    alive = true
    isAlive(): boolean {
      return this.alive
    }
  }

  /** A tunnel that is followed, and what was told. */
  function followed(tunnel = new Tunnel(), env: NodeJS.ProcessEnv = {}, errno: number | null = null) {
    const told: string[] = []
    const failures: string[] = []
    const sdNotify = (socket: string, state: string) => {
      told.push(`${socket} ${state.replaceAll('\n', ' | ')}`)
      return errno
    }
    const ear = notifier(
      () => ({ sdNotify }),
      { NOTIFY_SOCKET: '/run/n', ...env },
      (sentence) => failures.push(sentence),
    )
    if (ear === undefined) throw new Error('there is a socket')
    ear.follow(tunnel as unknown as Followed)
    return { tunnel, told, failures, ear }
  }

  test('nobody there', () => {
    expect(
      notifier(
        () => {
          throw new Error('never asked')
        },
        {},
        () => undefined,
      ),
    ).toBeUndefined()
  })

  test('a client is ready with its peer, once', () => {
    const { tunnel, told, ear } = followed()
    const peer = { address: '192.0.2.1:7000', speech: 'v1', dialMs: 1 }
    const reason = new ZPortalError('ZP_LINK_LOST', 'it broke\nREADY=0')
    tunnel.emit('state', { state: 'waiting', previous: 'connecting', reason })
    tunnel.emit('state', { state: 'up', previous: 'waiting', peer })
    tunnel.emit('state', { state: 'waiting', previous: 'up', reason })
    tunnel.emit('state', { state: 'up', previous: 'waiting', peer })
    ear.stop()
    expect(told).toEqual([
      '/run/n STATUS=connecting',
      '/run/n STATUS=waiting: ZP_LINK_LOST: it broke READY=0',
      '/run/n READY=1 | STATUS=up with 192.0.2.1:7000 (v1)',
      '/run/n STATUS=waiting: ZP_LINK_LOST: it broke READY=0',
      '/run/n STATUS=up with 192.0.2.1:7000 (v1)',
      '/run/n STOPPING=1 | STATUS=closing',
    ])
  })

  test('a server is ready when it listens', () => {
    const tunnel = Object.assign(new Tunnel(), { role: 'server', state: 'listening', local: '192.0.2.1:7000' } as const)
    expect(followed(tunnel).told).toEqual(['/run/n READY=1 | STATUS=listening on 192.0.2.1:7000'])
  })

  test('a sign of life twice as often as demanded, and none of a tunnel that is stuck', () => {
    vi.useFakeTimers()
    try {
      const { tunnel, told, ear } = followed(new Tunnel(), { WATCHDOG_USEC: '2000000' })
      vi.advanceTimersByTime(3000)
      expect(told.filter((line) => line.includes('WATCHDOG=1'))).toHaveLength(3)
      tunnel.alive = false
      vi.advanceTimersByTime(3000)
      expect(told.filter((line) => line.includes('WATCHDOG=1'))).toHaveLength(3)
      ear.stop()
      tunnel.alive = true
      vi.advanceTimersByTime(3000)
      expect(told.filter((line) => line.includes('WATCHDOG=1'))).toHaveLength(3)
    } finally {
      vi.useRealTimers()
    }
  })

  test.each([
    [{}, undefined],
    [{ WATCHDOG_USEC: '30000000' }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 15_000],
    [{ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, undefined],
    [{ WATCHDOG_USEC: '0' }, undefined],
    [{ WATCHDOG_USEC: 'soon' }, undefined],
    [{ WATCHDOG_USEC: '1' }, 1],
  ])('%j: every %s ms', (env, everyMs) => {
    expect(watchdogMs(env, 7)).toBe(everyMs)
  })

  test('a manager that cannot be told is said once', () => {
    const { tunnel, failures } = followed(new Tunnel(), {}, 2)
    tunnel.emit('state', { state: 'connecting', previous: 'opening' })
    expect(failures).toEqual([expect.stringContaining('/run/n')])
  })
})

/*
 * Programs of the user's on a tunnel's events: when they run, what they know, and that none outlives it.
 *
 *     ┌─ server ─────────────┐                       ┌─ client ─────────────┐
 *     │ zt0  10.10.0.1       │ ═══════ tunnel ══════ │ zt0  10.10.0.2       │
 *     │ eth0 192.0.2.1       ├──────── veth ─────────┤ eth0 192.0.2.2       │
 *     └──────────────────────┘                       └──────────────────────┘
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

import { beforeAll, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import type { Child } from '../harness/process.js'
import { innerOf, OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { event, flags, up, zportal } from '../harness/zportal.js'

/** Says what it was told, as one line. */
const TELL =
  'echo "told $ZPORTAL_HOOK $ZPORTAL_NAME $ZPORTAL_ROLE peer=${ZPORTAL_PEER-} $ZPORTAL_MTU $ZPORTAL_ADDRESSES reason=${ZPORTAL_REASON-}"'

endToEnd('hooks', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  const bind = `${OUTER.server.ipv4}:${PORT}`
  const serve = (more: string[] = []): Promise<Child> => up(hosts.server, { addresses: innerOf('server'), bind, more })
  const dial = (more: string[]): Child =>
    zportal(hosts.client, ['up', ...flags({ addresses: innerOf('client'), connect: bind, more })])

  test('up, reconnect and down, each with what is known, from a config', async () => {
    const config = await lab.path('hooked.toml')
    const addresses = JSON.stringify(innerOf('client'))
    const hooks = ['up', 'reconnect', 'down'].map((name) => `hook-${name} = ${JSON.stringify(TELL)}\n`)
    writeFileSync(config, `name = "zt0"\naddress = ${addresses}\nconnect = "${bind}"\n${hooks.join('')}`)
    let server = await serve()
    const client = zportal(hosts.client, ['up', '-f', config])
    const told = (rest: string) => new RegExp(`notice .*"told ${rest}`)
    await client.line(told(`up zt0 client peer=${bind} 1400 ${innerOf('client').join(' ')} reason="`))
    await server.stop()
    server = await serve()
    await client.line(told(`reconnect zt0 client peer=${bind} .* reason=ZP_(PEER_CLOSED|DIAL_REFUSED)"`))
    client.signal('SIGTERM')
    await client.exitsWith(0)
    await client.line(told('down zt0 client peer= .* reason=ZP_ABORTED"'))
    await server.stop()
  })

  test('a server has them too', async () => {
    const server = await serve(['--hook-up', TELL, '--hook-reconnect', TELL])
    await up(hosts.client, { addresses: innerOf('client'), connect: bind }).then((client) => client.stop())
    await server.line(/"told up zt0 server peer=192\.0\.2\.2:\d+ /)
    await up(hosts.client, { addresses: innerOf('client'), connect: bind }).then((client) => client.stop())
    await server.line(/"told reconnect zt0 server peer=192\.0\.2\.2:\d+ .* reason=ZP_PEER_CLOSED"/)
  })

  test('one that fails is said and does no harm; one that is required ends the tunnel', async () => {
    await serve()
    const client = dial(['--hook-up', 'echo oh dear >&2; exit 7'])
    await client.line(/notice .*code=hook-up detail="oh dear"/)
    await client.line(/ warn notice .*code=hook-up detail="the up hook ended with exit code 7"/)
    expect(client.running).toBe(true)
    await client.stop()

    const gone = await lab.path('gone')
    const required = dial(['--hook-up', 'exit 7', '--hook-required', '--hook-down', `touch ${gone}`])
    await required.exitsWith(1)
    expect(required.stderr).toMatch(/^ZP_HOOK: .*exit code 7/m)
    expect(existsSync(gone)).toBe(true)
    expect(await hosts.client.tuns()).toEqual([])
  })

  test('one that hangs is ended after its time, with what it started', async () => {
    await serve()
    const pids = await lab.path('pids')
    const client = dial(['--hook-timeout', '0.5', '--hook-up', `sleep 300 & echo $$ $! > ${pids}; wait`])
    await client.line(/code=hook-up detail="the up hook took longer than 0\.5 s and was ended"/)
    await nobodyOf(pids)
    expect(client.running).toBe(true)
  })

  test('the end by a signal ends one that runs, and waits for the last', async () => {
    await serve()
    const pids = await lab.path('pids')
    const client = dial([
      ...['--hook-up', `echo $$ > ${pids}; exec sleep 300`],
      // Longer than an end without hooks may take.
      ...['--hook-down', 'sleep 1.5; echo the last word'],
    ])
    await client.line(event('up'))
    await until('the hook', 5000, () => existsSync(pids) && readFileSync(pids, 'utf8') !== '')
    client.signal('SIGTERM')
    await client.exitsWith(0)
    await client.line(/code=hook-down detail="the last word"/)
    await nobodyOf(pids)
  })

  test('the end by a signal is a clean one though a hook does not obey', async () => {
    await serve()
    const pids = await lab.path('pids')
    const client = dial(['--hook-up', `trap '' TERM; echo $$ > ${pids}; while :; do sleep 0.1; done`])
    await client.line(event('up'))
    await until('the hook', 5000, () => existsSync(pids) && readFileSync(pids, 'utf8') !== '')
    client.signal('SIGTERM')
    await client.exitsWith(0)
    await client.line(event('closed'))
    await nobodyOf(pids)
  })

  test('a second signal ends the last as well', async () => {
    await serve()
    const pids = await lab.path('pids')
    const client = dial(['--hook-down', `echo $$ > ${pids}; exec sleep 300`, '--hook-timeout', '100'])
    await client.line(event('up'))
    client.signal('SIGTERM')
    await until('the hook', 5000, () => existsSync(pids) && readFileSync(pids, 'utf8') !== '')
    // Further from the first than a wrapper that passes the same one on.
    await until('a quarter of a second', 5000, async () => {
      client.signal('SIGINT')
      return !(await Promise.race([
        client.exit().then(() => false),
        new Promise((later) => setTimeout(later, 100, true)),
      ]))
    })
    expect((await client.exit()).code).toBe(130)
    await nobodyOf(pids)
  })

  test('what is no hook is refused', async () => {
    for (const [wrong, quoted] of [
      [['--hook-up', ' '], '--hook-up'],
      [['--hook-timeout', '0'], '--hook-timeout'],
      [['--hook-timeout', 'long'], 'long'],
    ] as const) {
      const child = dial([...wrong])
      await child.exitsWith(2)
      expect(child.stderr).toMatch(new RegExp(`^ZP_OPTION: .*${quoted}`))
      expect(await hosts.client.tuns()).toEqual([])
    }
  })

  /** None of the processes noted there runs. */
  async function nobodyOf(file: string): Promise<void> {
    const pids = readFileSync(file, 'utf8').trim().split(/\s+/)
    expect(pids.length).toBeGreaterThan(0)
    await until('the end of the hook', 5000, () => pids.every((pid) => !existsSync(`/proc/${pid}`)))
  }
})

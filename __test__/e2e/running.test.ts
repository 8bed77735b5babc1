/*
 * A program that asks tunnels which run already, by the library: it finds them, follows one, waits and ends it.
 *
 *     ┌─ blue ───────────────┐                       ┌─ red ────────────────┐
 *     │ zt0   program        │ ═══════ tunnel ══════ │ zt0                  │
 *     └──────────────────────┘   the file system     └──────────────────────┘
 */
import { chownSync } from 'node:fs'
import { join } from 'node:path'

import { beforeAll, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { meetingOf } from '../harness/meeting.js'
import type { Namespace } from '../harness/namespace.js'
import type { Child } from '../harness/process.js'
import { event, ROOT, up, zportal } from '../harness/zportal.js'

endToEnd('running tunnels, for programs', (lab) => {
  let blue: Namespace
  let serve: () => Promise<Child>
  let dial: () => Promise<Child>
  beforeAll(async () => {
    ;({ blue, serve, dial } = await meetingOf(lab))
  })
  /** A program in blue: `say` prints a value as JSON, a failure is its code. */
  const program = (body: string, by: readonly string[] = []): Child => {
    const library = join(ROOT, 'dist', 'index.js')
    const source = `import * as zp from ${JSON.stringify(library)}
      const say = (value) => console.log(JSON.stringify(value))
      try { ${body} } catch (error) { say({ code: error.code, isOurs: error instanceof zp.ZPortalError }) }`
    return blue.spawn([...by, process.execPath, '--input-type=module', '-e', source])
  }
  const said = async (body: string): Promise<unknown[]> => {
    const child = await program(body).exitsWith(0)
    return child.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
  }

  test('are found, followed and ended', async () => {
    const server = await serve()
    const following = program(`
      const tunnel = await zp.waitForTunnel({ name: 'zt0' }, { timeoutMs: 20000 })
      say((await tunnel.status()).state)
      for await (const event of tunnel.events()) say(event)
      say('over')
      await tunnel.status()`)
    await dial()
    await following.line(/^"up"$/)
    await following.line(/"event":"status"/)
    expect(await said(`say((await zp.listTunnels()).map(({ name }) => name))`)).toEqual([['zt0']])
    const [last] = await said(`say(await (await zp.findTunnel()).down())`)
    expect(last).toMatchObject({ name: 'zt0', state: 'closed', reason: { code: 'ZP_CLOSED' } })
    await server.exitsWith(0)
    await following.exitsWith(0)
    const lines = following.lines.map(({ text }) => JSON.parse(text) as { event?: string; state?: string })
    expect(lines.at(-3)).toMatchObject({ version: 1, event: 'state', state: 'closed', name: 'zt0' })
    expect(lines.at(-2)).toBe('over')
    expect(lines.at(-1)).toEqual({ code: 'ZP_NOT_RUNNING', isOurs: true })
  })

  test('let go of a program that has enough of their events', async () => {
    await serve()
    // It ends by itself, while the tunnel lives.
    expect(await said(`for await (const { event } of (await zp.findTunnel()).events()) { say(event); break }`)).toEqual(
      ['status'],
    )
  })

  test('of other users are not listed, and say whose they are', async () => {
    await serve()
    chownSync(`/run/zportal/${blue.inode}/zt0.sock`, 65534, 65534)
    const by = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-dac_override,-dac_read_search']
    const child = program(`say(await zp.listTunnels()); await zp.findTunnel()`, [...by, '--'])
    await child.exitsWith(0)
    expect(child.lines.map(({ text }) => JSON.parse(text) as unknown)).toEqual([
      [],
      { code: 'ZP_CONTROL', isOurs: true },
    ])
  })

  test('that are none, not up, or too many, are told by their codes', async () => {
    const failure = (code: string) => [{ code, isOurs: true }]
    expect(await said(`say(await zp.listTunnels())`)).toEqual([[]])
    expect(await said(`await zp.findTunnel({ name: 'zt0' })`)).toEqual(failure('ZP_NOT_RUNNING'))
    expect(await said(`await zp.waitForTunnel({}, { timeoutMs: 50 })`)).toEqual(failure('ZP_NOT_RUNNING'))
    expect(await said(`await zp.waitForTunnel({}, { timeoutMs: 1.5 })`)).toEqual(failure('ZP_NOT_RUNNING'))
    expect(await said(`await zp.waitForTunnel({}, { timeoutMs: -1 })`)).toEqual(failure('ZP_OPTION'))
    await zportal(blue, ['wait', '--timeout', '0.0015']).exitsWith(4)
    const server = await serve()
    expect(await said(`await zp.waitForTunnel({}, { timeoutMs: 50 })`)).toEqual(failure('ZP_NOT_UP'))
    expect(await said(`await (await zp.findTunnel()).reload()`)).toEqual(failure('ZP_CONTROL'))
    await up(blue, { name: 'zt1', addresses: [], bind: 'unixa:another' })
    expect(await said(`await zp.findTunnel()`)).toEqual(failure('ZP_OPTION'))
    await dial()
    await server.line(event('up'))
    expect(await said(`say((await zp.findTunnel({ name: 'zt0' })).socket)`)).toEqual([
      `/run/zportal/${blue.inode}/zt0.sock`,
    ])
  })
})

/*
 * `zportal top` on a real terminal: what it shows, that it follows the size, and that the terminal is as
 * before when it ends, however it ends. And SIGHUP, which lets a running tunnel read its config again.
 *
 *     ┌─ blue ───────────────┐                       ┌─ red ────────────────┐
 *     │ zt0  10.10.0.1       │ ═══════ tunnel ══════ │ zt0  10.10.0.2       │
 *     │      unix:…/zp.sock ◄┼── the file system ────┼─►  top in tmux 80×24 │
 *     └──────────────────────┘                       └──────────────────────┘
 */
import { writeFileSync } from 'node:fs'

import { beforeAll, describe, expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { meetingOf } from '../harness/meeting.js'
import type { Namespace } from '../harness/namespace.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { Terminal } from '../harness/tmux.js'
import { INNER } from '../harness/topology.js'
import { event, up, zportal, ZPORTAL } from '../harness/zportal.js'

endToEnd('watching and reloading', (lab) => {
  let blue: Namespace
  let red: Namespace
  let meeting: string
  let serve: () => Promise<Child>
  let dial: () => Promise<Child>
  beforeAll(async () => {
    ;({ blue, red, meeting, serve, dial } = await meetingOf(lab))
  })
  const top = `${ZPORTAL.join(' ')} top`

  describe('top', () => {
    test('shows what flows, follows the size, and gives the terminal back', async () => {
      await serve()
      const client = await dial()
      await using terminal = await Terminal.open(lab, red, { columns: 80, rows: 24 })
      await terminal.type('echo before')
      await terminal.shows(/^before$/m)
      await terminal.type(top)
      const screen = await terminal.shows(/q quits/)
      expect(screen).toMatch(/^zt0 {2}client {2}up \d:\d\d {2}unix:/)
      expect(screen).toMatch(/^inside|^10\.10\.0\.2\/24 {2}fd00:10::2\/64 {2}mtu 1400/m)
      expect(screen).toMatch(/^history\n {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}connecting\n.* up +unix:/m)
      expect(screen.trimEnd().split('\n')).toHaveLength(24)
      expect(await terminal.flag('alternate_on')).toBe('1')
      expect(await terminal.flag('cursor_flag')).toBe('0')

      const traffic = red.spawn(['ping', '-q', '-f', '-s', '1300', INNER.server.ipv4])
      await terminal.shows(/^sent +[\d.]+ [kMG]bit\/s .*[▁-█].* most/m)
      await traffic.stop()

      await terminal.resize(100, 30)
      await until('the help in the last row', 10_000, async () => {
        const rows = (await terminal.screen()).trimEnd().split('\n')
        return rows.length === 30 && rows[29] === 'q quits'
      })
      await terminal.resize(40, 10)
      await until('the help in the last row', 10_000, async () => {
        const rows = (await terminal.screen()).trimEnd().split('\n')
        return rows.length === 10 && rows[9] === 'q quits' && rows[0]?.startsWith('zt0  client  up')
      })
      await terminal.resize(80, 24)

      await client.stop()
      await terminal.shows(/^zt0 does not run any more {3}q quits/m)
      await terminal.press('q')
      await terminal.shows(/^before$/m)
      expect(await terminal.flag('alternate_on')).toBe('0')
      expect(await terminal.flag('cursor_flag')).toBe('1')
      expect(await terminal.flag('wrap_flag')).toBe('1')
      await terminal.type('echo rc $?, $(stty -a | grep -o -- "-\\?icanon")')
      await terminal.shows(/^rc 0, icanon$/m)
    })

    test('ends by Ctrl-C and by SIGTERM as by q', async () => {
      await serve()
      await using terminal = await Terminal.open(lab, blue, { columns: 80, rows: 24 })
      await terminal.type(`echo first; ${top}; echo rc $?`)
      await terminal.shows(/q quits/)
      await terminal.press('C-c')
      await terminal.shows(/^rc 0$/m)
      await terminal.type(`clear; ${top}; echo second rc $?`)
      await terminal.shows(/q quits/)
      await blue.run('sh', '-c', 'kill -TERM $(pgrep -f "run[.]js top" --ns $$ --nslist net)')
      await terminal.shows(/^second rc 0$/m)
      expect(await terminal.flag('cursor_flag')).toBe('1')
    })

    test('is for terminals, and for tunnels that run', async () => {
      const piped = zportal(blue, ['top'])
      expect((await piped.exitsWith(2)).stderr).toMatch(/^ZP_OPTION: top needs a terminal/)
      await using terminal = await Terminal.open(lab, blue, { columns: 80, rows: 24 })
      await terminal.type(`${top}; echo rc $?`)
      expect(await terminal.shows(/^rc 4$/m)).toMatch(/^ZP_NOT_RUNNING: no tunnel runs/m)
      expect(await terminal.flag('alternate_on')).toBe('0')
    })
  })

  describe('SIGHUP', () => {
    const config = (lines: string) => `bind = "${meeting}"\naddress = ["10.10.0.1/24"]\nname = "zt0"\n${lines}`

    test('reads the config again: what can change does, the rest is named, and traffic flows on', async () => {
      const file = await lab.path('lab.toml')
      writeFileSync(file, config('mtu = 1400\n'))
      const server = zportal(blue, ['up', '-f', file])
      await server.line(event('listening'))
      const client = await dial()
      await server.line(event('up'))

      writeFileSync(file, config('mtu = 1300\nlog-level = "warn"\n'))
      server.signal('SIGHUP')
      await server.line(/ warn reloaded applied=log-level restart=mtu$/)
      expect((await ping(red, INNER.server.ipv4)).received).toBe(10)
      expect(await blue.mtu('zt0')).toBe(1400)

      // From now on only warnings: that the peer leaves cleanly is none.
      writeFileSync(file, config('mtu = 1300\nlog-level = "loud"\n'))
      server.signal('SIGHUP')
      await server.line(
        / error reload-refused code=ZP_OPTION detail=".*lab\.toml:5: log-level must be info, warn, error, got/,
      )
      const reload = zportal(blue, ['reload', 'zt0'])
      expect((await reload.exitsWith(2)).stderr).toMatch(/^ZP_OPTION: .*lab\.toml:5: log-level must be/)

      writeFileSync(file, config('mtu = 1400\nlog-level = "warn"\n'))
      const nothing = zportal(blue, ['reload', 'zt0'])
      expect((await nothing.exitsWith(0)).stdout).toBe('zt0: nothing has changed\n')
      await client.stop()
      await server.stop()
      expect(server.stderr).not.toMatch(/ info waiting/)
    })

    test('lets a client dial elsewhere from the next dial on, with other hooks at once', async () => {
      await serve()
      const file = await lab.path('client.toml')
      const elsewhere = `unix:${await lab.path('elsewhere.sock')}`
      const settings = (to: string, more: string) =>
        `connect = "${to}"\naddress = ["10.10.0.2/24"]\nname = "zt0"\n${more}`
      writeFileSync(file, settings(meeting, 'hook-reconnect = "echo never"\n'))
      const client = zportal(red, ['up', '-f', file])
      await client.line(event('up'))
      const other = await up(blue, { name: 'zt1', addresses: [], bind: elsewhere })

      writeFileSync(file, settings(elsewhere, 'hook-reconnect = "echo there with $ZPORTAL_PEER"\nbench = false\n'))
      const reload = zportal(red, ['reload', '--json'])
      expect(JSON.parse((await reload.exitsWith(0)).stdout)).toEqual({
        version: 1,
        applied: ['bench', 'hook-reconnect'],
        next: ['connect'],
        restart: [],
      })
      const again = zportal(red, ['reload'])
      expect((await again.exitsWith(0)).stdout).toBe('zt0: nothing has changed\n')
      // The session goes on until it ends by itself.
      expect((await ping(red, INNER.server.ipv4)).received).toBe(10)
      const bench = zportal(blue, ['bench', 'zt0'])
      expect((await bench.exitsWith(1)).stderr).toMatch(/^ZP_BENCH: the peer does not take part/)
      await zportal(blue, ['down', 'zt0']).exitsWith(0)
      await other.line(event('up'))
      await client.line(/ info notice .*hook-reconnect.*there with unix:.*elsewhere/)
      const status = zportal(red, ['status', 'zt0', '--json'])
      expect(JSON.parse((await status.exitsWith(0)).stdout)).toMatchObject({ connect: elsewhere })
    })

    test('lets a server take others, and keeps who is there', async () => {
      const file = await lab.path('server.toml')
      const settings = (allow: string) => `bind = "127.0.0.1:7000"\nname = "zt0"\nallow = ["${allow}"]\n`
      writeFileSync(file, settings('192.0.2.0/24'))
      const server = zportal(blue, ['up', '-f', file])
      await server.line(event('listening'))
      const refused = zportal(blue, ['up', '-n', 'zt1', '-c', '127.0.0.1:7000', '--once'])
      await refused.exitsWith(1)
      writeFileSync(file, settings('127.0.0.0/8'))
      const reload = zportal(blue, ['reload', 'zt0'])
      expect((await reload.exitsWith(0)).stdout).toBe('zt0: applied allow\n')
      const welcome = await up(blue, { name: 'zt1', addresses: [], connect: '127.0.0.1:7000' })
      writeFileSync(file, settings('192.0.2.0/24'))
      server.signal('SIGHUP')
      await server.line(/ info reloaded applied=allow$/)
      expect(welcome.running).toBe(true)
      expect(server.stderr).not.toMatch(/ waiting /)
    })

    test('without a config ends the tunnel cleanly, as a closed terminal does', async () => {
      const server = await serve()
      const reload = zportal(blue, ['reload'])
      expect((await reload.exitsWith(1)).stderr).toMatch(/^ZP_CONTROL: zt0 was started without a config file/)
      server.signal('SIGHUP')
      await server.exitsWith(0)
      expect(await blue.tuns()).toEqual([])
    })
  })
})

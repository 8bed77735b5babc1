/*
 * The recipes of README.md from a clone, in which `npm link` has put `zportal` on the path; install.test.ts follows the
 * same from the installed package.
 *
 *     ┌─ server ────────┐        ┌─ client ────────┐
 *     │ 192.0.2.1       ├─ veth ─┤ 192.0.2.2       │      and for recipe 4 two hosts with nothing between them
 *     └─────────────────┘        └─────────────────┘
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { beforeAll, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Reader, recipe, twoHostsAndLibrary, unixSocket } from '../harness/recipes.js'
import { twoHosts } from '../harness/topology.js'
import { ROOT } from '../harness/zportal.js'

const USAGE = 2

endToEnd('the recipes of the README, from a clone', (lab) => {
  let reader: Reader
  beforeAll(async () => {
    const bin = await lab.path('bin')
    mkdirSync(bin)
    symlinkSync(join(ROOT, 'bin', 'run.js'), join(bin, 'zportal'))
    const env = { PATH: [bin, process.env['PATH']].join(delimiter) }
    reader = {
      shell: (at, commands) => at.spawn(['sh', '-c', commands], { env }),
      // Inside the package its own name leads to itself, as in a project that has installed it.
      program: (at, code) => at.spawn([process.execPath, '--input-type=module', '--eval', code], { cwd: ROOT }),
    }
  })

  test('1 and 5: two hosts, with the command and as a library', async () => {
    await twoHostsAndLibrary(await twoHosts(lab), reader)
  })

  test('4: two namespaces over a Unix socket', async () => {
    const [server, client] = [await lab.namespace('left'), await lab.namespace('right')]
    const shared = await lab.path('shared')
    mkdirSync(shared)
    await unixSocket({ server, client }, reader, shared)
  })

  test.each(['2', '3'])('%s: every flag is one, and every value is taken', async (number) => {
    // There is no such proxy here. With --mtu 1 behind it the line is refused for that, and for nothing else.
    const home = await lab.path(`home-${number}`)
    mkdirSync(home)
    writeFileSync(join(home, '.proxy'), 'secret\n', { mode: 0o600 })
    const env = { PATH: [await lab.path('bin'), process.env['PATH']].join(delimiter), HOME: home }
    const child = lab.spawn(['sh', '-c', `${recipe(`${number}: dialing end`).trim()} --mtu 1`], { env })
    await child.exitsWith(USAGE)
    expect(child.stderr).toMatch(/^ZP_OPTION: --mtu .*\n$/)
  })
})

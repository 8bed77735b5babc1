/*
 * `npm run demo` without its installing part. It draws its own topology; what counts here is that it
 * succeeds, that it can be repeated at once, and that however it ends nothing of it remains.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { until } from '../harness/deadline.js'
import { endToEnd } from '../harness/end-to-end.js'
import { remains } from '../harness/inside/remains.mjs'
import type { Child } from '../harness/process.js'
import { ROOT } from '../harness/zportal.js'

const DEADLINE_MS = 60_000

endToEnd('the demo', (lab) => {
  const demo = (): Child =>
    lab.spawn([process.execPath, join(ROOT, 'scripts', 'demo.mjs'), '--no-ensure'], { env: { NO_COLOR: '1' } })
  /** The name under which the demo has its objects. */
  const ownerOf = (child: Child): string => `zp${child.pid}d`

  test('shows everything and removes everything, twice in a row', async () => {
    for (let run = 0; run < 2; run += 1) {
      const child = demo()
      await child.exitsWith(0, DEADLINE_MS)
      expect(child.stdout).toMatch(/5 of 5 pings answered/)
      expect(child.stdout).toMatch(/equal at both ends/)
      expect(child.stdout).toMatch(/[\d.]+ Gbit\/s/)
      expect(child.stdout).toMatch(/✔ no process, namespace, device or file/)
      expect(child.stdout + child.stderr).not.toContain('✘')
      expect(remains(ownerOf(child))).toEqual([])
    }
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('removes everything on %s', async (signal) => {
    const child = demo()
    await child.line(/the client is connected/, { deadlineMs: DEADLINE_MS })
    expect(remains(ownerOf(child))).not.toEqual([])
    child.signal(signal)
    await child.exitsWith(signal === 'SIGINT' ? 130 : 143, 10_000)
    expect(remains(ownerOf(child))).toEqual([])
  })

  test('is buried by its undertaker when it is killed', async () => {
    const child = demo()
    await child.line(/the client is connected/, { deadlineMs: DEADLINE_MS })
    child.signal('SIGKILL')
    await child.exit()
    await until('the end of everything', 5000, () => remains(ownerOf(child)).length === 0)
  })

  test('says what is wrong when something is, and removes everything', async () => {
    // Without a /dev/net/tun that works, zportal up fails: the demo must say so.
    const child = lab.spawn(
      ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', '--', process.execPath].concat([
        join(ROOT, 'scripts', 'demo.mjs'),
        '--no-ensure',
      ]),
      { env: { NO_COLOR: '1' } },
    )
    await child.exitsWith(1, DEADLINE_MS)
    expect(child.stderr).toContain('✘')
    expect(readdirSync('/run/netns').filter((name) => name.startsWith(ownerOf(child)))).toEqual([])
  })
})

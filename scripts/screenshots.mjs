/**
 * `npm run screenshots`: docs/screen-*.svg, what a terminal shows of real tunnels. Two namespaces play two hosts, the
 * commands run in a terminal of tmux while iperf3 fills the tunnel, and what stands on its screen becomes a drawing.
 *
 * Needs root, the build, tmux and iperf3. Not part of `npm test`: each run has other figures.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { setTimeout as after } from 'node:timers/promises'

import { ROOT } from './run.mjs'
import { terminalDrawing } from './screenshots/drawing.mjs'
import { TwoHosts } from './two-hosts.mjs'

const SERVER = { name: 'server', outer: '192.0.2.1' }
const CLIENT = { name: 'client', outer: '192.0.2.2' }
const COLUMNS = 110
/** How long the tunnel is busy before the picture is taken: rates are means over a second. */
const BUSY_MS = 4000
const ZPORTAL = [execPath, join(ROOT, 'bin', 'run.js')]

/** What is photographed; each with the rows that it needs. */
const PICTURES = [
  { name: 'up', rows: 6, shown: 'zportal up -n zt0 -a 10.10.0.2/24 -c 192.0.2.1:7000', isTunnel: true },
  { name: 'top', rows: 30, shown: 'zportal top zt0', needs: 'top' },
]

for (const picture of PICTURES) {
  if (picture.needs !== undefined && !existsSync(join(ROOT, 'dist', 'commands', `${picture.needs}.js`))) continue
  const file = join('docs', `screen-${picture.name}.svg`)
  writeFileSync(
    join(ROOT, file),
    terminalDrawing(await photograph(picture), { columns: COLUMNS, command: picture.shown }),
  )
  console.log(file)
}

/** Gives the screen as text with its colours. */
async function photograph({ name, rows, shown, isTunnel = false }) {
  const hosts = new TwoHosts()
  const terminal = `zportal-screen-${process.pid}`
  const tmux = (...args) => execFileSync('tmux', ['-L', terminal, ...args], { encoding: 'utf8' })
  try {
    hosts.raise([SERVER, CLIENT])
    const server = hosts.start(SERVER, [...ZPORTAL, 'up', '-n', 'zt0', '-a', '10.10.0.1/24', '-b', '192.0.2.1:7000'])
    await server.says(/ info listening /)
    if (!isTunnel) {
      const client = hosts.start(CLIENT, [...ZPORTAL, 'up', '-n', 'zt0', '-a', '10.10.0.2/24', '-c', '192.0.2.1:7000'])
      await client.says(/ info up /)
    }
    const size = ['-x', String(COLUMNS), '-y', String(rows)]
    const command = [...ZPORTAL, ...shown.split(' ').slice(1)].map((word) => `'${word}'`).join(' ')
    hosts.start(CLIENT, ['tmux', '-L', terminal, '-f', '/dev/null', 'new-session', '-d', ...size, command])
    await server.says(/ info up /)
    const sink = hosts.start(SERVER, ['iperf3', '-s', '-1', '--forceflush'])
    await sink.says(/Server listening/)
    hosts.start(CLIENT, ['iperf3', '-c', '10.10.0.1', '-t', '30'])
    await after(BUSY_MS)
    return tmux('capture-pane', '-p', '-e', '-t', '0')
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error })
  } finally {
    try {
      tmux('kill-server')
    } catch {
      // It has not come so far, or has ended with its command.
    }
    await hosts.close()
  }
}

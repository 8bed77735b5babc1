/**
 * `npm run screenshots`: docs/screen-*.svg, what a terminal shows of a real tunnel. Two namespaces play two hosts, the
 * commands run in terminals of tmux while iperf3 makes a load that comes and goes, and what stands on their screens
 * becomes drawings.
 *
 * Needs root; installs what is missing. Not part of `npm test`: each run has other figures.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env, execPath, getuid } from 'node:process'
import { setTimeout as after } from 'node:timers/promises'

import { ensure, Unmet } from './ensure.mjs'
import { endWithSignals, ROOT } from './run.mjs'
import { terminalDrawing } from './screenshots/drawing.mjs'
import { TwoHosts } from './two-hosts.mjs'

const SERVER = { name: 'server', outer: '192.0.2.1' }
const CLIENT = { name: 'client', outer: '192.0.2.2' }
const COLUMNS = 108
const ZPORTAL = [execPath, join(ROOT, 'bin', 'run.js')]
/** What is typed in a terminal, the rows that it needs, and what shows that it has begun. */
const UP = { name: 'up', rows: 6, shown: 'zportal up -n zt0 -a 10.10.0.2/24 -c 192.0.2.1:7000', begun: /info up / }
const TOP = { name: 'top', rows: 18, shown: 'zportal top zt0', begun: /q quits/ }
/** Megabits a second from the client, each for so many seconds; 0 is as fast as it goes. */
const LOAD_MBIT = [1500, 4000, 0, 2500, 0]
const LOAD_STEP_S = 6
/** From the server, all the while. */
const BACK_MBIT = 300
const PATIENCE_MS = 20_000

endWithSignals()
try {
  if (getuid() !== 0) throw new Unmet('network namespaces need root')
  await ensure()
} catch (error) {
  if (!(error instanceof Unmet)) throw error
  console.error(error.message)
  process.exit(1)
}

const hosts = new TwoHosts()
const folder = mkdtempSync(join(tmpdir(), 'zportal-screens-'))
const terminals = []
try {
  hosts.raise([SERVER, CLIENT])
  const server = hosts.start(SERVER, [...ZPORTAL, 'up', '-n', 'zt0', '-a', '10.10.0.1/24', '-b', '192.0.2.1:7000'])
  await server.says(/ info listening /)
  await open(UP)
  await open(TOP)
  await load()
  for (const picture of [UP, TOP]) draw(picture)
} finally {
  for (const { name } of terminals) {
    try {
      tmux(name, 'kill-server')
    } catch {
      // It has ended with its command.
    }
  }
  await hosts.close()
  rmSync(folder, { recursive: true })
}

/** Begins what the picture shows, in a terminal of its own. */
async function open(picture) {
  const { name, rows, shown, begun } = picture
  const command = [...ZPORTAL, ...shown.split(' ').slice(1)].map((word) => `'${word}'`).join(' ')
  const session = ['new-session', '-d', '-x', String(COLUMNS), '-y', String(rows), command]
  const terminal = ['env', '-u', 'TMUX', 'LANG=C.UTF-8', 'TERM=xterm-256color', 'tmux', '-u', '-f', '/dev/null']
  await hosts.start(CLIENT, [...terminal, '-S', join(folder, name), ...session]).end()
  terminals.push(picture)
  const deadline = Date.now() + PATIENCE_MS
  while (!begun.test(tmux(name, 'capture-pane', '-p'))) {
    if (Date.now() > deadline) throw new Error(`${shown} shows ${tmux(name, 'capture-pane', '-p')}`)
    await after(100)
  }
}

/** Traffic both ways, until a second before its end. */
async function load() {
  const seconds = LOAD_MBIT.length * LOAD_STEP_S
  const sinks = [5201, 5202].map((port) => hosts.start(SERVER, ['iperf3', '-s', '-p', String(port), '--forceflush']))
  for (const sink of sinks) await sink.says(/Server listening/)
  const peer = ['iperf3', '-c', '10.10.0.1']
  hosts.start(CLIENT, [...peer, '-p', '5202', '-R', '-b', `${BACK_MBIT}M`, '-t', String(seconds + 2)])
  for (const [step, mbit] of LOAD_MBIT.entries()) {
    const stream = hosts.start(CLIENT, [...peer, '-b', `${mbit}M`, '-t', String(LOAD_STEP_S)])
    if (step === LOAD_MBIT.length - 1) await after((LOAD_STEP_S - 1) * 1000)
    else await stream.end()
  }
}

function draw({ name, shown }) {
  const file = join('docs', `screen-${name}.svg`)
  const screen = tmux(name, 'capture-pane', '-p', '-e')
  writeFileSync(join(ROOT, file), terminalDrawing(screen, { columns: COLUMNS, command: shown }))
  console.log(file)
}

function tmux(name, ...args) {
  return execFileSync('tmux', ['-S', join(folder, name), ...args], {
    encoding: 'utf8',
    env: { ...env, LANG: 'C.UTF-8' },
  })
}

/**
 * `npm run demo`: the tunnel at work, on this machine, in two network namespaces that play two hosts.
 *
 * Installs and builds what is missing, then shows what a user would do and see, and removes
 * everything at the end: also when a step fails, on Ctrl-C, and (by the undertaker) when it is killed.
 * `--no-ensure` goes straight to the tunnel.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { argv } from 'node:process'

import { bury, OWNER_VARIABLE, remains } from '../__test__/harness/inside/remains.mjs'
import { ensure, Unmet } from './ensure.mjs'
import { endWithSignals, ROOT } from './run.mjs'
import { bold, done, failed, heading, quoted, typed } from './tell.mjs'

const OWNER = `zp${process.pid}d`
const SERVER = { name: 'server', namespace: `${OWNER}-server`, outer: '192.0.2.1', inner: ['10.10.0.1', 'fd00:10::1'] }
const CLIENT = { name: 'client', namespace: `${OWNER}-client`, outer: '192.0.2.2', inner: ['10.10.0.2', 'fd00:10::2'] }
const PREFIX_BITS = [24, 64]
const PORT = 7000
const MTU_BYTES = 1400
const TRANSFER_BYTES = 64 * 1024 * 1024
const IPERF_SECONDS = 3
/** A step that takes longer than this has failed, in milliseconds. */
const STEP_MS = 30_000

const DRAWING = `
    ┌─ server ────────────────┐                  ┌─ client ────────────────┐
    │ zt0   10.10.0.1         │  ═══ tunnel ═══  │ zt0   10.10.0.2         │
    │       fd00:10::1        │                  │       fd00:10::2        │
    │ eth0  192.0.2.1:7000    ├────── veth ──────┤ eth0  192.0.2.2         │
    └─────────────────────────┘   one TCP stream └─────────────────────────┘`

const children = []
let interrupted = false

process.exitCode = await main()

async function main() {
  if (!argv.includes('--no-ensure')) {
    endWithSignals()
    heading('What it needs')
    try {
      await ensure({ say: (text) => done(text) })
    } catch (error) {
      failed(error instanceof Unmet ? error.message : error.stack)
      return 1
    }
    process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
  }
  const obstacle = whyNot()
  if (obstacle) {
    failed(obstacle)
    return 1
  }
  let undertaker
  const stopped = new Promise((_resolve, reject) => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ]) {
      process.on(signal, () => {
        interrupted = true
        reject(Object.assign(new Error(`stopped by ${signal}`), { code }))
      })
    }
  })
  stopped.catch(() => undefined)
  let code = 0
  try {
    undertaker = startUndertaker()
    await Promise.race([show(), stopped])
  } catch (error) {
    failed(error.message)
    code = Number.isInteger(error.code) ? error.code : 1
  }
  if (!(await removeEverything())) code ||= 1
  undertaker?.stdin.end()
  return code
}

/** The demonstration itself. Throws at the first step that fails. */
async function show() {
  heading('Two hosts, joined by a cable')
  console.log(DRAWING)
  raiseHosts()
  done('two network namespaces and a veth pair between them')

  heading('A tunnel between them')
  const server = zportal(SERVER, '-b', `${SERVER.outer}:${PORT}`)
  await ready(server)
  done('the server has its TUN device and listens')
  const client = zportal(CLIENT, '-c', `${SERVER.outer}:${PORT}`)
  await ready(client)
  done('the client is connected')

  heading('IP packets go through it')
  for (const to of SERVER.inner) {
    const said = await shown(CLIENT, ['ping', '-n', '-c', '5', '-i', '0.2', '-W', '2', to])
    const [, received] = /(\d+) received/.exec(said) ?? []
    if (received !== '5') throw new Error(`5 pings sent, ${received ?? 'none'} came back`)
    done(`5 of 5 pings answered, round trip ${/= [\d.]+\/([\d.]+)/.exec(said)[1]} ms on average`)
  }

  heading(`A file of ${TRANSFER_BYTES / 1024 / 1024} MiB arrives as it was sent`)
  await transfer()

  heading('How fast')
  const iperf = child(SERVER, ['iperf3', '-s', '-1', '--forceflush'])
  await said(iperf, /Server listening/)
  typed(CLIENT.name, `iperf3 -c ${SERVER.inner[0]} -t ${IPERF_SECONDS}`)
  const report = await output(CLIENT, ['iperf3', '-J', '-c', SERVER.inner[0], '-t', String(IPERF_SECONDS)])
  const { end, error } = JSON.parse(report)
  if (error) throw new Error(`iperf3: ${error}`)
  done(`${bold(`${(end.sum_received.bits_per_second / 1e9).toFixed(2)} Gbit/s`)} of TCP payload through the tunnel`)

  heading('And it ends cleanly')
  for (const [host, process] of [
    [CLIENT, client],
    [SERVER, server],
  ]) {
    typed(host.name, '^C')
    const startedAt = performance.now()
    process.kill('SIGINT')
    const [code, signal] = await within('the end of zportal', ended(process))
    if (code !== 0) throw new Error(`zportal ended with ${signal ?? code} instead of 0`)
    done(`exit 0 after ${Math.round(performance.now() - startedAt)} ms`)
  }
}

function whyNot() {
  if (process.getuid() !== 0) return 'network namespaces and TUN devices need root: sudo npm run demo'
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
  } catch {
    return 'there is no usable /dev/net/tun here: modprobe tun, or pass the device into the container'
  }
  return undefined
}

function raiseHosts() {
  const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  for (const { namespace } of [SERVER, CLIENT]) {
    ip('netns', 'add', namespace)
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
  }
  ip(
    'link',
    'add',
    'eth0',
    'netns',
    SERVER.namespace,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    CLIENT.namespace,
  )
  for (const { namespace, outer } of [SERVER, CLIENT]) {
    ip('-n', namespace, 'address', 'add', `${outer}/24`, 'dev', 'eth0')
    ip('-n', namespace, 'link', 'set', 'eth0', 'up')
  }
}

/** Starts `zportal up` on a host, its words shown as they come. */
function zportal(host, ...way) {
  const addresses = host.inner.flatMap((address, index) => ['-a', `${address}/${PREFIX_BITS[index]}`])
  const args = ['up', '-n', 'zt0', '-m', String(MTU_BYTES), ...addresses, ...way]
  typed(host.name, `zportal ${args.join(' ')}`)
  const started = child(host, [process.execPath, join(ROOT, 'bin', 'run.js'), ...args])
  started.stderr.on('data', (text) => quoted(text))
  return started
}

/** Waits for the line with which zportal says that it listens or is connected. */
function ready(started) {
  return said(started, /^\S+ info (listening|up)\b/m)
}

async function transfer() {
  const script = join(ROOT, '__test__', 'harness', 'inside', 'transfer.mjs')
  const receiver = child(SERVER, [process.execPath, script, 'receive', SERVER.inner[0]])
  const [, port] = await said(receiver, /"port":(\d+)/)
  const startedAt = performance.now()
  const args = ['send', SERVER.inner[0], port, String(TRANSFER_BYTES), String(process.pid)]
  const sent = JSON.parse(await output(CLIENT, [process.execPath, script, ...args]))
  const received = JSON.parse((await said(receiver, /\{.*"sha256".*\}/))[0])
  const seconds = (performance.now() - startedAt) / 1000
  for (const [host, seen] of [
    [CLIENT, sent],
    [SERVER, received],
  ]) {
    quoted(`${host.name.padEnd(7)}sha256 ${seen.sha256}  ${seen.bytes} bytes`)
  }
  if (sent.sha256 !== received.sha256) throw new Error('the two ends saw different data')
  done(`equal at both ends, in ${seconds.toFixed(2)} s`)
}

/** Runs a program on a host to its end, shown as typed and quoted. */
async function shown(host, command) {
  typed(host.name, command.join(' '))
  const text = await output(host, command)
  quoted(text)
  return text
}

async function output(host, command) {
  const started = child(host, command)
  await within(`the end of ${command[0]}`, ended(started))
  return started.said
}

/** Starts a program on a host; what it says is kept in `said`. */
function child(host, command) {
  if (interrupted) throw new Error('stopped')
  const started = spawn('ip', ['netns', 'exec', host.namespace, ...command], {
    detached: true,
    env: { ...process.env, [OWNER_VARIABLE]: OWNER },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.said = ''
  for (const stream of [started.stdout, started.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      started.said += text
      started.emit('said')
    })
  }
  started.closed = once(started, 'close')
  started.closed.catch(() => undefined)
  children.push(started)
  return started
}

async function said(started, pattern) {
  const matched = (async () => {
    for (;;) {
      const match = pattern.exec(started.said)
      if (match) return match
      const more = new Promise((resolve) => started.once('said', resolve))
      const over = await Promise.race([more, started.closed.then(() => 'over')])
      if (over && !pattern.test(started.said)) throw new Error(`it ended early\n${started.said}`)
    }
  })()
  return within(`a line ${pattern}`, matched)
}

async function ended(started) {
  return started.closed
}

async function within(what, promise) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${STEP_MS / 1000} s: ${what}`)), STEP_MS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Removes whatever this demonstration made, and looks that nothing remains. */
async function removeEverything() {
  heading('Nothing remains')
  for (const started of children) {
    if (started.exitCode !== null || started.signalCode !== null) continue
    started.kill('SIGTERM')
    await within('the end of a program', ended(started)).catch(() => undefined)
  }
  for (const object of remains(OWNER)) if (object.kind === 'namespace') object.remove()
  const clean = bury(OWNER)
  if (clean) done('no process, namespace, device or file of this demonstration is left')
  else for (const { what } of remains(OWNER)) failed(`still there: ${what}`)
  return clean
}

/** If this process is killed, somebody must still remove what it made. */
function startUndertaker() {
  const script = join(ROOT, '__test__', 'harness', 'inside', 'undertaker.mjs')
  const undertaker = spawn(process.execPath, [script, OWNER], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  undertaker.unref()
  undertaker.stdin.unref()
  return undertaker
}

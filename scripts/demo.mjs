/**
 * `npm run demo`: the tunnel at work, on this machine, in two network namespaces that play two hosts.
 *
 * Installs and builds what is missing, then shows what a user would do and see, and removes
 * everything at the end: also when a step fails, on Ctrl-C, and (by the undertaker) when it is killed.
 * `--no-ensure` goes straight to the tunnel.
 */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { argv, execPath } from 'node:process'

import { ensure, Unmet } from './ensure.mjs'
import { endWithSignals, ROOT } from './run.mjs'
import { bold, done, failed, heading, quoted, typed } from './tell.mjs'
import { INSIDE, TwoHosts } from './two-hosts.mjs'

const SERVER = { name: 'server', outer: '192.0.2.1', inner: ['10.10.0.1', 'fd00:10::1'] }
const CLIENT = { name: 'client', outer: '192.0.2.2', inner: ['10.10.0.2', 'fd00:10::2'] }
const PREFIX_BITS = [24, 64]
const PORT = 7000
const MTU_BYTES = 1400
const PINGS = 5
const TRANSFER_BYTES = 64 * 1024 * 1024
const IPERF_SECONDS = 3

const DRAWING = `
    ┌─ server ────────────────┐                  ┌─ client ────────────────┐
    │ zt0   10.10.0.1         │  ═══ tunnel ═══  │ zt0   10.10.0.2         │
    │       fd00:10::1        │                  │       fd00:10::2        │
    │ eth0  192.0.2.1:7000    ├────── veth ──────┤ eth0  192.0.2.2         │
    └─────────────────────────┘  one TCP stream  └─────────────────────────┘`

process.exitCode = await main()

async function main() {
  if (!argv.includes('--no-ensure') && !(await prepared())) return 1
  const obstacle = whyNot()
  if (obstacle) {
    failed(obstacle)
    return 1
  }
  const interrupted = stopSignal()
  const hosts = new TwoHosts()
  let code = 0
  try {
    await Promise.race([show(hosts), interrupted])
  } catch (error) {
    failed(error.message)
    code = error.exitCode ?? 1
  }
  heading('Nothing remains')
  const left = await hosts.close()
  for (const what of left) failed(`still there: ${what}`)
  if (left.length > 0) return code || 1
  done('no process, namespace, device or file of this demonstration is left')
  return code
}

/** The demonstration itself. Throws at the first step that fails. */
async function show(hosts) {
  heading('Two hosts, joined by a cable')
  console.log(DRAWING)
  hosts.raise([SERVER, CLIENT])
  done('two network namespaces and a veth pair between them')

  heading('A tunnel between them')
  const server = zportal(hosts, SERVER, '-b', `${SERVER.outer}:${PORT}`)
  await server.says(/ info listening /)
  done('the server has its TUN device and listens')
  const client = zportal(hosts, CLIENT, '-c', `${SERVER.outer}:${PORT}`)
  await Promise.all([client, server].map((end) => end.says(/ info up /)))
  done('the client is connected')

  heading('IP packets go through it')
  for (const to of SERVER.inner) await ping(hosts, to)

  heading(`A file of ${TRANSFER_BYTES / 1024 / 1024} MiB arrives as it was sent`)
  await transfer(hosts)

  heading('How fast')
  await measure(hosts)

  heading('And it ends cleanly')
  await end(CLIENT, client)
  await server.says(/ info waiting /)
  done('the server keeps its device and waits for the next client')
  await end(SERVER, server)
}

/** Starts `zportal up` on a host, its words shown as they come. */
function zportal(hosts, host, ...way) {
  const addresses = host.inner.flatMap((address, index) => ['-a', `${address}/${PREFIX_BITS[index]}`])
  const args = ['up', '-n', 'zt0', '-m', String(MTU_BYTES), ...addresses, ...way]
  typed(host.name, `zportal ${args.join(' ')}`)
  return hosts.start(host, [execPath, join(ROOT, 'bin', 'run.js'), ...args], (line) => quoted(host.name, line))
}

async function ping(hosts, to) {
  const command = ['ping', '-n', '-c', String(PINGS), '-i', '0.2', '-W', '2', to]
  typed(CLIENT.name, command.join(' '))
  const pings = hosts.start(CLIENT, command, (line) => {
    if (line.includes('icmp_seq')) quoted(CLIENT.name, line)
  })
  await pings.end()
  const received = Number(/(\d+) received/.exec(pings.said)?.[1] ?? 0)
  if (received !== PINGS) throw new Error(`${PINGS} pings sent, ${received} came back`)
  const [, meanMs] = /= [\d.]+\/([\d.]+)/.exec(pings.said)
  done(`${received} of ${PINGS} pings answered, round trip ${meanMs} ms on average`)
}

async function transfer(hosts) {
  const script = join(INSIDE, 'transfer.mjs')
  const receiver = hosts.start(SERVER, [execPath, script, 'receive', SERVER.inner[0]])
  const [, port] = await receiver.says(/"port":(\d+)/)
  const startedAt = performance.now()
  const args = ['send', SERVER.inner[0], port, String(TRANSFER_BYTES), String(process.pid)]
  const sender = hosts.start(CLIENT, [execPath, script, ...args])
  const [sent, received] = await Promise.all(
    [sender, receiver].map(async (end) => JSON.parse((await end.says(/\{.*"sha256".*\}/))[0])),
  )
  const seconds = (performance.now() - startedAt) / 1000
  quoted(CLIENT.name, `sha256 ${sent.sha256}, ${sent.bytes} bytes sent`)
  quoted(SERVER.name, `sha256 ${received.sha256}, ${received.bytes} bytes received`)
  if (sent.sha256 !== received.sha256) throw new Error('the two ends saw different data')
  done(`equal at both ends, in ${seconds.toFixed(2)} s`)
}

async function measure(hosts) {
  const server = hosts.start(SERVER, ['iperf3', '-s', '-1', '--forceflush'])
  await server.says(/Server listening/)
  const args = ['-c', SERVER.inner[0], '-t', String(IPERF_SECONDS)]
  typed(CLIENT.name, `iperf3 ${args.join(' ')}`)
  const client = hosts.start(CLIENT, ['iperf3', '-J', ...args])
  await client.end()
  const report = JSON.parse(client.said)
  if (report.error) throw new Error(`iperf3: ${report.error}`)
  const gbits = report.end.sum_received.bits_per_second / 1e9
  done(`${bold(`${gbits.toFixed(2)} Gbit/s`)} of TCP payload through the tunnel`)
}

/** Ctrl-C for one end of the tunnel. */
async function end(host, program) {
  typed(host.name, '^C')
  const startedAt = performance.now()
  program.signal('SIGINT')
  const code = await program.end()
  if (code !== 0) throw new Error(`zportal ended with ${code} instead of 0`)
  done(`exit 0 after ${Math.round(performance.now() - startedAt)} ms`)
}

async function prepared() {
  endWithSignals()
  heading('What it needs')
  try {
    await ensure({ say: done })
    return true
  } catch (error) {
    failed(error instanceof Unmet ? error.message : error.stack)
    return false
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeAllListeners(signal)
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

/** Rejects when the user has had enough. */
function stopSignal() {
  const stopped = new Promise((_resolve, reject) => {
    const codes = { SIGINT: 130, SIGTERM: 143 }
    for (const [signal, exitCode] of Object.entries(codes)) {
      process.on(signal, () => reject(Object.assign(new Error(`stopped by ${signal}`), { exitCode })))
    }
  })
  stopped.catch(() => undefined)
  return stopped
}

/**
 * `npm run bench`: ZPortal and other tunnels over one TCP stream, measured side by side on this machine.
 *
 * Installs and builds what is missing, prints tables, writes docs/bench. Two network namespaces play the
 * hosts; everything is removed at the end, also when something fails, on Ctrl-C, and (by the undertaker)
 * when this process is killed. `npm run bench -- --help` says the rest.
 */
import { accessSync, constants } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { argv } from 'node:process'

import { Misused, parse, USAGE } from './bench/command-line.mjs'
import { CONTENDERS, whyLeftOut } from './bench/contenders.mjs'
import { lower, startUndertaker } from './bench/lab.mjs'
import { stop } from './bench/programs.mjs'
import { draw, keep } from './bench/results.mjs'
import { runBench } from './bench/session.mjs'
import { ensure, Unmet } from './ensure.mjs'
import { endWithSignals, ROOT, run } from './run.mjs'
import { done, failed, heading } from './tell.mjs'

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

process.exitCode = await main()

async function main() {
  let options
  try {
    options = parse(argv.slice(2))
  } catch (error) {
    if (!(error instanceof Misused)) throw error
    failed(error.message)
    return 2
  }
  if (options.help) {
    console.log(USAGE)
    return 0
  }
  const directory = options.out === undefined ? join(ROOT, 'docs', 'bench') : resolve(options.out)
  try {
    if (options.draw) return told(draw(directory))
    if (options.ensure) await prepare()
    const obstacle = whyNot()
    if (obstacle) throw new Unmet(obstacle)
  } catch (error) {
    failed(error instanceof Unmet ? error.message : error.stack)
    return 1
  }
  const { results, code } = await removingEverything(() => runBench(options))
  if (!results) return code
  heading('Results')
  if (options.keeps) return told(keep(directory, results))
  done('not written: only a full run is (--out DIR writes any)')
  return code
}

/** Installs and builds. Without the other tunnels there is still something to measure, and to compare with the cable. */
async function prepare() {
  endWithSignals()
  heading('What it needs')
  try {
    await ensure({ bench: true, say: done })
  } catch (error) {
    if (!(error instanceof Unmet) || !CONTENDERS.some(whyLeftOut)) throw error
    failed(error.message)
    done('going on without the other tunnels')
    await ensure({ say: done })
  }
  const pump = ['build', '--quiet', '--release', '--package', 'zportal-core', '--example', 'pump']
  const { code } = await run('cargo', pump)
  if (code !== 0) throw new Unmet('the bare pump was not built; cargo has said why above')
  process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
}

/** Runs the work, and removes whatever it made, however it ends. */
async function removingEverything(work) {
  let results
  let code = 0
  const interrupted = new Promise((_resolve, reject) => {
    for (const [signal, exitCode] of Object.entries(SIGNALS)) {
      process.on(signal, () => {
        const reason = Object.assign(new Error(`stopped by ${signal}`), { exitCode })
        stop(reason)
        reject(reason)
      })
    }
  })
  interrupted.catch(() => undefined)
  const undertakerMayGo = startUndertaker()
  try {
    results = await Promise.race([work(), interrupted])
  } catch (error) {
    stop(error)
    failed(error.exitCode ? error.message : error.stack)
    code = error.exitCode ?? 1
  }
  for (const what of await lower()) {
    failed(`still there: ${what}`)
    code ||= 1
  }
  undertakerMayGo()
  return { results, code }
}

function whyNot() {
  if (process.getuid() !== 0) return 'network namespaces and TUN devices need root: sudo npm run bench'
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
  } catch {
    return 'there is no usable /dev/net/tun here: modprobe tun, or pass the device into the container'
  }
  return undefined
}

function told(files) {
  for (const file of files) done(relative(ROOT, file).startsWith('..') ? file : relative(ROOT, file))
  return 0
}

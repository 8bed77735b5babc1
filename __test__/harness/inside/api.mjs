/**
 * A program that uses the Node API, told what to do line by line, run inside a namespace.
 *
 *     node --expose-gc api.mjs PATH-OF-THE-PACKAGE
 *
 * Each line of input is `{"do":…}`, each line of output the answer, in order: `{"value":…}` or
 * `{"error":{"code":…,"message":…}}`. The end of the input ends the program once its tunnels are closed,
 * and not before: that is how a test sees that nothing keeps Node alive.
 */
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

const entry = pathToFileURL(join(process.argv[2], 'dist', 'index.js')).href
const { openTunnel } = await import(entry)

const tunnels = new Map()
const aborts = new Map()
const workers = new Map()

const deeds = {
  async open({ key, options }) {
    const abort = new AbortController()
    aborts.set(key, abort)
    const tunnel = await openTunnel({ ...options, signal: abort.signal })
    tunnels.set(key, tunnel)
    return { name: tunnel.name, local: tunnel.local, state: tunnel.state }
  },
  /** `openTunnel` with a signal that aborts after some milliseconds; 0 is before the call. */
  async openAborted({ options, afterMs }) {
    const signal = afterMs === 0 ? AbortSignal.abort() : AbortSignal.timeout(afterMs)
    await openTunnel({ ...options, signal })
  },
  /** What `await using` does at the end of its block; Node 20 has the protocol, and not yet the syntax. */
  dispose: ({ key }) => tunnels.get(key)[Symbol.asyncDispose](),
  whenUp: ({ key }) => tunnels.get(key).whenUp(),
  state: ({ key }) => tunnels.get(key).state,
  stats: ({ key }) => tunnels.get(key).stats(),
  abort: ({ key }) => aborts.get(key).abort(),
  close: ({ key }) => tunnels.get(key).close(),
  async closed({ key }) {
    const { reason } = await tunnels.get(key).closed
    return { code: reason.code, message: reason.message }
  },
  /** JavaScript does nothing else meanwhile. */
  stall({ ms }) {
    const until = performance.now() + ms
    while (performance.now() < until);
  },
  /** A worker thread that opens a tunnel and stays. */
  openInWorker({ key, options }) {
    const code = `
      import { parentPort, workerData } from 'node:worker_threads'
      const { openTunnel } = await import(workerData.entry)
      const tunnel = await openTunnel(workerData.options)
      parentPort.postMessage({ name: tunnel.name })`
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
    const worker = new Worker(url, { workerData: { entry, options } })
    workers.set(key, worker)
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  },
  /** Forgets what is closed and collects it: what then still is there is a leak. */
  async forget() {
    tunnels.clear()
    aborts.clear()
    globalThis.gc()
    await new Promise(setImmediate)
  },
  terminateWorker: ({ key }) => workers.get(key).terminate(),
  exit: () => process.exit(0),
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  let answer
  try {
    answer = { value: (await deeds[order.do](order)) ?? null }
  } catch (error) {
    answer = { error: { name: error.name, code: error.code, message: error.message } }
  }
  console.log(JSON.stringify(answer))
}

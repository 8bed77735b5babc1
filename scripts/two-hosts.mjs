/**
 * The demo's stage: two network namespaces joined by a veth pair, the programs that run in them, and
 * the end of all of it.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { bury, OWNER_VARIABLE, remains } from '../__test__/harness/inside/remains.mjs'
import { ROOT } from './run.mjs'

/** Where the programs lie that run inside a namespace; the tests use them too. */
export const INSIDE = join(ROOT, '__test__', 'harness', 'inside')

/** A program or a line of it that takes longer than this does not come any more, in milliseconds. */
const DEADLINE_MS = 30_000

export class TwoHosts {
  /** The prefix of every name here; see `remains.mjs`. */
  #owner = `zp${process.pid}d`
  #children = []
  #closing = false
  #undertaker

  constructor() {
    // If this process is killed, somebody must still remove what it made.
    const script = join(INSIDE, 'undertaker.mjs')
    this.#undertaker = spawn(process.execPath, [script, this.#owner], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    this.#undertaker.unref()
    this.#undertaker.stdin.unref()
  }

  /** Raises both and joins them; each has a name and an outer address. */
  raise(hosts) {
    for (const host of hosts) {
      ip('netns', 'add', this.#namespace(host))
      ip('-n', this.#namespace(host), 'link', 'set', 'lo', 'up')
    }
    const [a, b] = hosts.map((host) => this.#namespace(host))
    ip('link', 'add', 'eth0', 'netns', a, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b)
    for (const host of hosts) {
      ip('-n', this.#namespace(host), 'address', 'add', `${host.outer}/24`, 'dev', 'eth0')
      ip('-n', this.#namespace(host), 'link', 'set', 'eth0', 'up')
    }
  }

  /** Starts a program on a host; each line that it says goes to `onLine`. */
  start(host, command, onLine = () => undefined) {
    if (this.#closing) throw new Error('stopped')
    const program = new Program(
      spawn('ip', ['netns', 'exec', this.#namespace(host), ...command], {
        detached: true,
        env: { ...process.env, [OWNER_VARIABLE]: this.#owner },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
      command[0],
      onLine,
    )
    this.#children.push(program)
    return program
  }

  /** Ends every program and removes everything. Gives a sentence for each thing that is left. */
  async close() {
    this.#closing = true
    for (const program of this.#children.toReversed()) await program.stop()
    for (const object of remains(this.#owner)) if (object.kind === 'namespace') object.remove()
    bury(this.#owner)
    const left = remains(this.#owner).map(({ what }) => what)
    this.#undertaker.stdin.end()
    return left
  }

  #namespace({ name }) {
    return `${this.#owner}-${name}`
  }
}

/** A program that runs on a host. */
class Program {
  /** All that it said. */
  said = ''
  #process
  #name
  #ended
  #heard = () => undefined

  constructor(process, name, onLine) {
    this.#process = process
    this.#name = name
    this.#ended = once(process, 'close')
    this.#ended.catch(() => undefined) // Whoever waits for the end hears of it.
    for (const stream of [process.stdout, process.stderr]) {
      let rest = ''
      stream.setEncoding('utf8').on('data', (text) => {
        this.said += text
        const lines = (rest + text).split('\n')
        rest = lines.pop()
        lines.forEach(onLine)
        this.#heard()
      })
    }
  }

  /** The first match in what it said or will say. */
  async says(pattern) {
    const match = (async () => {
      for (let over = false; ;) {
        const found = pattern.exec(this.said)
        if (found) return found
        if (over) throw new Error(`${this.#name} ended early\n${this.said}`)
        const more = new Promise((resolve) => (this.#heard = resolve))
        over = await Promise.race([more.then(() => false), this.#ended.then(() => true)])
      }
    })()
    return within(`${this.#name} says ${pattern}`, match)
  }

  /** Its exit code, or the signal that ended it, once it has ended. */
  async end() {
    const [code, signal] = await within(`the end of ${this.#name}`, this.#ended)
    return signal ?? code
  }

  /** Sends it a signal. */
  signal(signal) {
    this.#process.kill(signal)
  }

  /** Ends it, if it still runs. What does not obey in time is left to be killed. */
  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.signal('SIGTERM')
    await this.end().catch(() => undefined)
  }
}

function ip(...args) {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

async function within(what, promise) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`)), DEADLINE_MS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

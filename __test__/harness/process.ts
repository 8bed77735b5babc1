/**
 * A child process whose output can be awaited, and which never outlives the test that started it.
 *
 * It leads a process group of its own: a signal for the group reaches what it started too, and a
 * Ctrl-C at the runner's terminal does not reach it unasked.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

import { within } from './deadline.js'
import { OWNER_VARIABLE } from './inside/remains.mjs'

/** One line of output, in the order of arrival. */
export interface Line {
  from: 'stdout' | 'stderr'
  text: string
}

/** How a process ended. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface ChildOptions {
  /** Marks the process, so that it is found if it is forgotten. */
  owner: string
  env?: NodeJS.ProcessEnv
  cwd?: string
}

/** How long a program may take to start or to end on a busy machine, in milliseconds; promises have tighter ones. */
const DEADLINE_MS = 20_000
/** How long {@link Child.stop} waits for a process to obey before it is killed, in milliseconds. */
const OBEY_MS = 3000
/** Lines of output quoted in a failure. */
const QUOTED_LINES = 40

export class Child implements AsyncDisposable {
  /** As the shell would show it, for messages. */
  readonly command: string
  readonly lines: Line[] = []
  /** Settles once the process is gone and all its output has been read. */
  readonly exited: Promise<Exit>
  readonly #process: ChildProcessWithoutNullStreams
  #exit: Exit | undefined
  #watchers = new Set<() => void>()

  constructor(command: readonly string[], options: ChildOptions) {
    const [program, ...args] = command
    if (program === undefined) throw new Error('a command has at least a program')
    this.command = command.join(' ')
    this.#process = spawn(program, args, {
      cwd: options.cwd,
      detached: true,
      env: { ...process.env, ...options.env, [OWNER_VARIABLE]: options.owner },
    })
    // A write to a process that has ended is no failure of the test; its exit code tells.
    this.#process.stdin.on('error', () => undefined)
    this.exited = this.#follow()
    // A failed spawn is reported to whoever awaits; nobody may have begun to.
    this.exited.catch(() => undefined)
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`${this.command} could not be started`)
    return this.#process.pid
  }

  get running(): boolean {
    return this.#exit === undefined
  }

  get stdout(): string {
    return this.#text('stdout')
  }

  get stderr(): string {
    return this.#text('stderr')
  }

  get stdin(): NodeJS.WritableStream {
    return this.#process.stdin
  }

  /**
   * The first line that matches, among those that came already (from line number `after` on) and
   * those to come. Fails at once when the process ends without it.
   */
  async line(pattern: RegExp, { deadlineMs = DEADLINE_MS, after = 0 } = {}): Promise<RegExpExecArray> {
    let watcher: (() => void) | undefined
    const found = new Promise<RegExpExecArray>((resolve, reject) => {
      let next = after
      watcher = () => {
        for (; next < this.lines.length; next += 1) {
          const match = pattern.exec(this.lines[next]?.text ?? '')
          if (match) {
            resolve(match)
            return
          }
        }
        if (!this.running) reject(new Error(`${this.command} ended without a line ${String(pattern)}`))
      }
      this.#watchers.add(watcher)
      watcher()
    })
    try {
      return await within(`a line ${String(pattern)}`, deadlineMs, found)
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${this.report()}`, {
        cause,
      })
    } finally {
      if (watcher) this.#watchers.delete(watcher)
    }
  }

  /** Waits for the end by itself or by a signal sent before. */
  async exit(deadlineMs = DEADLINE_MS): Promise<Exit> {
    try {
      return await within(`the end of ${this.command}`, deadlineMs, this.exited)
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${this.report()}`, {
        cause,
      })
    }
  }

  /** Waits for the end and demands its exit code. */
  async exitsWith(code: number, deadlineMs = DEADLINE_MS): Promise<this> {
    const exit = await this.exit(deadlineMs)
    if (exit.code !== code) {
      throw new Error(`exit ${describe(exit)} instead of ${code}\n${this.report()}`)
    }
    return this
  }

  /** Sends a signal to the process alone. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Sends a signal to the process and whatever it started in its group. */
  signalGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch (error) {
      // The last of the group has gone already.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  /**
   * Ends it as its user would (SIGTERM). A process that does not obey in time is killed with its
   * group, and that is a failure.
   */
  async stop(): Promise<Exit> {
    if (this.running) this.signal('SIGTERM')
    try {
      return await this.exit(OBEY_MS)
    } catch (error) {
      this.signalGroup('SIGKILL')
      await this.exited
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop()
  }

  /** What it was, how it stands and its last words. */
  report(): string {
    const state = this.#exit ? `ended with ${describe(this.#exit)}` : `runs as ${this.pid}`
    const tail = this.lines.slice(-QUOTED_LINES).map(({ from, text }) => `  ${from}| ${text}`)
    return [`$ ${this.command}  [${state}]`, ...tail].join('\n')
  }

  async #follow(): Promise<Exit> {
    const spawned = this.#process
    for (const from of ['stdout', 'stderr'] as const) {
      const reader = createInterface({ input: spawned[from], crlfDelay: Infinity })
      reader.on('line', (text) => {
        this.lines.push({ from, text })
        this.#tell()
      })
    }
    const [code, signal] = (await once(spawned, 'close')) as [number | null, NodeJS.Signals | null]
    this.#exit = { code, signal }
    this.#tell()
    return this.#exit
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #text(from: Line['from']): string {
    return this.lines
      .filter((line) => line.from === from)
      .map((line) => `${line.text}\n`)
      .join('')
  }
}

function describe({ code, signal }: Exit): string {
  return signal ?? `code ${String(code)}`
}

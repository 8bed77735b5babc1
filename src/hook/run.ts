/**
 * Runs one program of the user's on an event of the tunnel: `/bin/sh -c` with their own string. What the tunnel knows
 * reaches it through the environment alone, so that no value can become a command.
 *
 * It leads a process group, which ends with it when its time is over, and its output is told line by line. What it
 * leaves in the background on purpose is let be; its output is not read any more.
 */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'

/** From the request to end to the end without request, for a program whose time is over. */
const HOOK_OBEY_MS = 1000
/** What a program wrote before its end is in the pipes then; who holds them open for longer is another. */
const DRAIN_MS = 100
/** From the request to end until a hook is over, whatever it does. */
export const HOOK_END_MS = HOOK_OBEY_MS + DRAIN_MS
/** Longer lines are cut: the log is for people. */
const LINE_MAX_CHARS = 1000
/** More lines are counted and not told: a program that babbles must not fill the journal. */
const LINES_MAX = 200

/** What is needed to run a hook. */
export interface HookRun {
  readonly command: string
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
  /** Hears each line of output. */
  readonly say: (line: string) => void
  /** Ends the program before its time. */
  readonly signal?: AbortSignal | undefined
}

/** Resolves when it has ended, with what went wrong in words that follow its name, or nothing. Never rejects. */
export function runHook({ command, env, timeoutMs, say, signal }: HookRun): Promise<string | undefined> {
  return new Promise((resolve) => {
    let child: ChildProcess
    try {
      child = spawn('/bin/sh', ['-c', command], { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] })
    } catch (error) {
      // Of some failures the child tells, as below; others, as when there is no memory, come at once.
      resolve(`cannot be started: ${(error as Error).message}`)
      return
    }
    const group = new Group(child)
    // A child for which there are no descriptors has no pipes.
    const output = new Output(
      say,
      [child.stdout, child.stderr].filter((stream) => stream instanceof Readable),
    )
    let cutShort: string | undefined
    let killTimer: NodeJS.Timeout | undefined
    const cut = (why: string) => {
      if (cutShort !== undefined) return
      cutShort = why
      group.signal('SIGTERM')
      killTimer = setTimeout(() => {
        group.signal('SIGKILL')
      }, HOOK_OBEY_MS)
    }
    const timer = setTimeout(() => {
      cut(`took longer than ${timeoutMs / 1000} s and was ended`)
    }, timeoutMs)
    const onAbort = () => {
      cut('was ended, because the tunnel had to end at once')
    }
    const finish = (failure: string | undefined) => {
      clearTimeout(timer)
      clearTimeout(killTimer)
      signal?.removeEventListener('abort', onAbort)
      // A shell that obeyed may have left others of its group.
      if (cutShort !== undefined) group.signal('SIGKILL')
      group.release()
      void output.end().then(() => {
        resolve(cutShort ?? failure)
      })
    }
    child.once('error', (error) => {
      finish(`cannot be started: ${error.message}`)
    })
    child.once('exit', (code, by) => {
      finish(code === 0 ? undefined : by === null ? `ended with exit code ${String(code)}` : `was ended by ${by}`)
    })
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()
  })
}

/** The process group of a hook. It does not outlive this process. */
class Group {
  static readonly #all = new Set<Group>()
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    if (Group.#all.size === 0) process.on('exit', Group.#endAll)
    Group.#all.add(this)
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return
    try {
      process.kill(-this.#child.pid, signal)
    } catch {
      // All of it has ended already.
    }
  }

  release(): void {
    Group.#all.delete(this)
    if (Group.#all.size === 0) process.off('exit', Group.#endAll)
  }

  static readonly #endAll = (): void => {
    for (const group of Group.#all) group.signal('SIGKILL')
  }
}

/** Both outputs of a program as lines, bounded in length and number. */
class Output {
  readonly #say: (line: string) => void
  readonly #streams: readonly Readable[]
  readonly #rests = new Map<Readable, string>()
  #lines = 0

  constructor(say: (line: string) => void, streams: readonly Readable[]) {
    this.#say = say
    this.#streams = streams
    for (const stream of streams) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#take(stream, text)
      })
      stream.on('error', () => undefined)
    }
  }

  /** Tells what is left, and closes the pipes. */
  async end(): Promise<void> {
    await Promise.race([
      Promise.all(this.#streams.filter((stream) => !stream.closed).map(closed)),
      new Promise((resolve) => setTimeout(resolve, DRAIN_MS)),
    ])
    for (const stream of this.#streams) {
      stream.destroy()
      this.#tell(this.#rests.get(stream) ?? '')
      this.#rests.delete(stream)
    }
    if (this.#lines > LINES_MAX) this.#say(`(${this.#lines - LINES_MAX} lines more)`)
  }

  #take(stream: Readable, text: string): void {
    const lines = ((this.#rests.get(stream) ?? '') + text).split('\n')
    // Of a line without end no more is kept than will be told.
    this.#rests.set(stream, (lines.pop() ?? '').slice(0, LINE_MAX_CHARS))
    for (const line of lines) this.#tell(line)
  }

  #tell(line: string): void {
    const trimmed = line.trimEnd()
    if (trimmed === '') return
    this.#lines += 1
    if (this.#lines <= LINES_MAX) this.#say(trimmed.slice(0, LINE_MAX_CHARS))
  }
}

function closed(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve))
}

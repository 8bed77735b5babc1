/** A terminal of a known size in which a program runs, whose screen can be read and whose keys pressed (tmux). */
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'

import { until } from './deadline.js'
import type { Lab } from './lab.js'
import type { Namespace } from './namespace.js'

const run = promisify(execFile)

/** How long a screen may take to show something on a busy machine, in milliseconds. */
const SHOWS_MS = 20_000

export class Terminal implements AsyncDisposable {
  readonly #socket: string

  private constructor(socket: string) {
    this.#socket = socket
  }

  /** A shell inside the namespace, with a prompt of `$ `. */
  static async open(lab: Lab, at: Namespace, { columns, rows }: { columns: number; rows: number }): Promise<Terminal> {
    const socket = await lab.path(`tmux-${at.name}`)
    const terminal = new Terminal(socket)
    const size = ['-x', String(columns), '-y', String(rows)]
    const shell = `exec ip netns exec ${at.name} env LANG=C.UTF-8 PS1='$ ' sh`
    // tmux's server goes on without us, so it carries the laboratory's mark: it is found if it is forgotten.
    const env = { ...process.env, TERM: 'xterm-256color', LANG: 'C.UTF-8', ZPORTAL_OWNER: lab.owner, TMUX: undefined }
    await run('tmux', ['-u', '-f', '/dev/null', '-S', socket, 'new-session', '-d', ...size, shell], { env })
    try {
      // tmux leaves out what is blank at the end of a line.
      await terminal.shows(/^\$/m)
    } catch (error) {
      await terminal[Symbol.asyncDispose]()
      throw error
    }
    return terminal
  }

  /** The text on the screen, a line each, without what stands behind the last character of each. */
  async screen(): Promise<string> {
    return this.#tmux('capture-pane', '-p')
  }

  /** Waits until the screen has that, and gives it. */
  async shows(pattern: RegExp): Promise<string> {
    let last = ''
    try {
      return await until(`${String(pattern)} on the screen`, SHOWS_MS, async () => {
        last = await this.screen()
        return pattern.test(last) && last
      })
    } catch (cause) {
      throw new Error(`${String(cause)}; it shows\n${last}`, { cause })
    }
  }

  /** Types a line into whatever runs. */
  async type(line: string): Promise<void> {
    await this.#tmux('send-keys', '-l', line)
    await this.press('Enter')
  }

  /** Presses one key, by tmux's name for it. */
  async press(key: string): Promise<void> {
    await this.#tmux('send-keys', key)
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', String(columns), '-y', String(rows))
  }

  /** What tmux knows of the terminal, such as `cursor_flag`, `alternate_on`, `wrap_flag`. */
  async flag(name: string): Promise<string> {
    return (await this.#tmux('display-message', '-p', `#{${name}}`)).trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux('kill-server').catch(() => undefined)
    // tmux leaves it behind.
    await rm(this.#socket, { force: true })
  }

  async #tmux(...args: string[]): Promise<string> {
    return (await run('tmux', ['-S', this.#socket, ...args])).stdout
  }
}

/**
 * Somebody on whose machine there are Node and npm and nothing else: no compiler, no Rust, no clone, a home of their own
 * and an npm that knows one registry.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { OWNER_VARIABLE } from './inside/remains.mjs'
import type { Lab } from './lab.js'
import type { Namespace } from './namespace.js'
import type { Child } from './process.js'

/** An installation writes a few files; on a busy disk that takes its time. In milliseconds. */
const INSTALL_MS = 60_000

export class Newcomer {
  readonly home: string
  readonly #environment: Record<string, string>

  private constructor(lab: Lab, home: string, registry: string) {
    this.home = home
    const tools = join(home, 'tools')
    mkdirSync(tools, { recursive: true })
    // A path with these two alone: whatever asked for a compiler, or only for a shell, would fail.
    symlinkSync(process.execPath, join(tools, 'node'))
    symlinkSync(realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim()), join(tools, 'npm'))
    // A token of no meaning: npm publishes nothing without one, and the registry asks for none.
    writeFileSync(join(home, '.npmrc'), `${registry.replace(/^\w+:/, '')}:_authToken=none\n`)
    this.#environment = {
      [OWNER_VARIABLE]: lab.owner,
      HOME: home,
      PATH: [join(home, 'prefix', 'bin'), tools].join(delimiter),
      npm_config_registry: registry,
      npm_config_prefix: join(home, 'prefix'),
      npm_config_cache: join(home, 'cache'),
      npm_config_update_notifier: 'false',
      npm_config_audit: 'false',
      npm_config_fund: 'false',
    }
  }

  /** Gives one a home; `registry` is its address, such as `http://127.0.0.1:4873/`. */
  static async arrive(lab: Lab, name: string, registry: string): Promise<Newcomer> {
    return new Newcomer(lab, await lab.path(name), registry)
  }

  /** Starts what they type, with nothing of our environment. */
  types(at: Namespace, command: readonly string[], { cwd = this.home } = {}): Child {
    const environment = Object.entries(this.#environment).map(([name, value]) => `${name}=${value}`)
    return at.spawn(['env', '--chdir', cwd, '-i', ...environment, ...command])
  }

  /** Runs npm to its end and gives what it said on standard output; fails unless it exits with 0. */
  async npm(at: Namespace, args: readonly string[], { cwd = this.home } = {}): Promise<string> {
    const child = await this.types(at, ['npm', ...args], { cwd }).exitsWith(0, INSTALL_MS)
    return child.stdout
  }

  /** A new folder with these files. */
  project(name: string, files: Readonly<Record<string, string>>): string {
    const folder = join(this.home, name)
    mkdirSync(folder)
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content)
    return folder
  }
}

/**
 * The laboratory of one test file: it owns every namespace, process and file that the file creates,
 * and {@link Lab.close} proves that nothing of them remains.
 *
 * Nothing is created in the namespace the tests run in, so any number of laboratories (and whatever
 * else the machine does) stand side by side.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { until } from './deadline.js'
import { bury, remains } from './inside/remains.mjs'
import { Namespace } from './namespace.js'
import { Child, type ChildOptions } from './process.js'

/** A deleted namespace and its devices go a moment later, in the kernel's own time. */
const GONE_MS = 3000

let laboratories = 0

export class Lab implements AsyncDisposable {
  /** The prefix of every name in this laboratory; see `inside/remains.mjs`. */
  readonly owner: string
  readonly #namespaces: Namespace[] = []
  #children: Child[] = []
  #directory: Promise<string> | undefined
  /** Then control sockets may be left, and the next tunnel takes or sweeps them. */
  #someWereKilled = false
  #undertaker: { release: () => void } | undefined

  constructor() {
    // Interface and namespace names have 15 characters, and a process id up to 7.
    laboratories += 1
    this.owner = `zp${process.pid}${String.fromCharCode(96 + laboratories)}`
  }

  /** A path in the laboratory's own directory. */
  async path(name: string): Promise<string> {
    this.#watch()
    // The promise is kept, not its value: two that ask at the same time get the same directory.
    this.#directory ??= mkdtemp(join(tmpdir(), `${this.owner}-`))
    return join(await this.#directory, name)
  }

  /** A new network namespace with its loopback up. The name is short and unique in this laboratory. */
  async namespace(name: string): Promise<Namespace> {
    this.#watch()
    const namespace = await Namespace.create(this, name)
    this.#namespaces.push(namespace)
    return namespace
  }

  /** Starts a process outside any namespace of the laboratory. */
  spawn(command: readonly string[], options: Omit<ChildOptions, 'owner'> = {}): Child {
    this.#watch()
    const child = new Child(command, { ...options, owner: this.owner })
    this.#children.push(child)
    child.exited.then(
      ({ signal }) => (this.#someWereKilled ||= signal === 'SIGKILL'),
      () => undefined,
    )
    return child
  }

  /** What runs now; for {@link endAllBut} at the end of a test. */
  running(): ReadonlySet<Child> {
    return new Set(this.#children.filter((child) => child.running))
  }

  /**
   * Ends what a test started and did not end itself, the last first, and forgets it: a test that
   * fails midway must not be the cause of the next one's failure. Gives the last words of each.
   */
  async endAllBut(kept: ReadonlySet<Child>): Promise<string> {
    const [ours, theirs] = [this.#children.filter((child) => !kept.has(child)), [...kept]]
    this.#children = theirs
    const failures: string[] = []
    for (const child of ours.toReversed()) {
      await child[Symbol.asyncDispose]().catch((error: unknown) => failures.push(String(error)))
    }
    if (failures.length > 0) throw new Error(failures.join('\n'))
    return ours.map((child) => child.report()).join('\n')
  }

  /** Every TUN device in the laboratory. One dies with its last descriptor: without processes there is none. */
  async tuns(): Promise<string[]> {
    const each = this.#namespaces.map(async (namespace) =>
      (await namespace.tuns()).map((tun) => `the TUN ${tun} in the namespace ${namespace.name}`),
    )
    return (await Promise.all(each)).flat()
  }

  /**
   * Afterwards: ends what runs, removes the namespaces, and fails if anything at all was left, be it
   * a process that ignored its signal, a TUN device, a socket file, or a namespace that stays. It is
   * removed nevertheless, so that one failure is not the cause of the next.
   */
  async close(): Promise<void> {
    const left: string[] = []
    for (const child of this.#children.toReversed()) {
      await child.stop().catch((error: unknown) => left.push(String(error)))
    }
    await until('the end of every TUN device', GONE_MS, async () => (await this.tuns()).length === 0).catch(async () =>
      left.push(...(await this.tuns())),
    )
    const directory = await this.#directory
    if (directory !== undefined) {
      const files = await readdir(directory, { withFileTypes: true })
      left.push(
        ...files.filter((file) => file.isSocket()).map((file) => `the socket file ${join(file.parentPath, file.name)}`),
      )
      await rm(directory, { recursive: true })
    }
    for (const namespace of this.#namespaces) {
      const controls = `/run/zportal/${namespace.inode}`
      if (existsSync(controls) && !this.#someWereKilled) left.push(`control sockets in ${controls}`)
      await rm(controls, { recursive: true, force: true })
      await namespace.delete()
    }

    await until('the end of every object', GONE_MS, () => remains(this.owner).length === 0).catch(() =>
      left.push(...remains(this.owner).map(({ what }) => what)),
    )
    bury(this.owner)
    this.#undertaker?.release()
    if (left.length > 0) throw new Error(`left behind:\n  ${left.join('\n  ')}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Starts the undertaker with the first object, so that an unused laboratory costs nothing. */
  #watch(): void {
    if (this.#undertaker) return
    // vitest's worker survives its runner's death by a signal: without the runner there is nothing to do here.
    process.once('disconnect', () => process.exit(1))
    const script = fileURLToPath(new URL('inside/undertaker.mjs', import.meta.url))
    const undertaker = spawn(process.execPath, [script, this.owner], {
      detached: true,
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    // It waits for our end and must not be what delays it.
    undertaker.unref()
    const pipe = undertaker.stdin as typeof undertaker.stdin & { unref: () => void }
    pipe.unref()
    this.#undertaker = { release: () => pipe.end() }
  }
}

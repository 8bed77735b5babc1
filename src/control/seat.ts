/**
 * The right to a control socket's path. Whoever holds the lock beside it owns the path; a socket without a held lock is
 * what a killed process left, and is replaced or swept away.
 */

import { chmodSync, lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { ZPortalError } from '../errors.js'
import type { NativeAddon, NativeLock } from '../native.js'
import { folderOf, namespacesIn } from './place.js'

/** How often the folder may be removed by another tunnel's end between the moment we make it and the moment we use it. */
const TRIES = 10

/** A path that is ours until it is released. */
export interface Seat {
  readonly path: string
  /** Lets a server listen there, with mode 0600 from the first moment on. */
  listen(server: Server): Promise<void>
  /** Removes socket, lock and the folders that have become empty. Needs no event loop, and does nothing twice. */
  release(): void
}

type Locks = NativeAddon['FileLock']

/** The seat of a name in the first root that can be written; undefined when there is none. */
export function seatIn(roots: readonly string[], netns: number, name: string, locks: Locks): Seat | undefined {
  for (const root of roots) {
    const folder = folderOf(root, netns)
    try {
      const seat = retry(() => {
        for (const each of [root, folder]) make(each)
        return take(join(folder, `${name}.sock`), join(folder, `${name}.lock`), locks, [folder, root])
      })
      sweep(root, locks)
      return seat
    } catch (error) {
      if (error instanceof ZPortalError) throw error
      // Not writable for us: perhaps the next is.
    }
  }
  return undefined
}

/**
 * The seat at a path that someone chose.
 *
 * @throws {@link ZPortalError} `ZP_CONTROL` when another process holds it, or when the path is a file that is no socket.
 */
export function seatAt(path: string, locks: Locks): Seat {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) {
    throw new ZPortalError('ZP_CONTROL', `the control socket cannot be ${path}: that is a file of another kind`)
  }
  try {
    return take(path, `${path}.lock`, locks, [])
  } catch (cause) {
    if (cause instanceof ZPortalError) throw cause
    throw new ZPortalError('ZP_CONTROL', `the control socket cannot be made: ${(cause as Error).message}: ${path}`, {
      cause,
    })
  }
}

function take(path: string, lockPath: string, locks: Locks, folders: readonly string[]): Seat {
  const lock = locks.take(lockPath)
  if (lock === null) {
    throw new ZPortalError('ZP_CONTROL', `the control socket ${path} belongs to another process that runs`)
  }
  return new HeldSeat(path, lock, folders)
}

class HeldSeat implements Seat {
  #released = false

  constructor(
    readonly path: string,
    private readonly lock: NativeLock,
    private readonly folders: readonly string[],
  ) {
    atExit.add(this.#onExit)
  }

  async listen(server: Server): Promise<void> {
    // Made where nobody else can reach it, and moved once its mode is right.
    const making = join(dirname(this.path), `.${basename(this.path)}.new`)
    rmSync(making, { recursive: true, force: true })
    mkdirSync(making, { mode: 0o700 })
    try {
      const made = join(making, 's')
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(made, () => {
          server.off('error', reject)
          resolve()
        })
      })
      chmodSync(made, 0o600)
      renameSync(made, this.path)
    } finally {
      rmSync(making, { recursive: true, force: true })
    }
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    atExit.delete(this.#onExit)
    rmSync(this.path, { force: true })
    this.lock.release()
    removeEmpty(this.folders)
  }

  readonly #onExit = (): void => {
    this.release()
  }
}

/** Removes what killed processes left in a root, so that it does not pile up. */
function sweep(root: string, locks: Locks): void {
  for (const netns of namespacesIn(root)) {
    const folder = folderOf(root, netns)
    for (const file of entries(folder).filter((entry) => entry.endsWith('.lock'))) {
      try {
        const lock = locks.take(join(folder, file))
        if (lock === null) continue
        const name = basename(file, '.lock')
        rmSync(join(folder, `${name}.sock`), { force: true })
        rmSync(join(folder, `.${name}.sock.new`), { recursive: true, force: true })
        lock.release()
      } catch {
        // Another user's: theirs to sweep.
      }
    }
    removeEmpty([folder])
  }
}

/** Its parent is there or not our affair; Node's own `recursive` never returns where a file system like /proc says ENOENT. */
function make(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o755 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Removes folders, the innermost first, as far as they are empty. */
function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder)
    } catch {
      return
    }
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function retry<T>(attempt: () => T): T {
  for (let tries = 1; ; tries += 1) {
    try {
      return attempt()
    } catch (error) {
      if (error instanceof ZPortalError || tries === TRIES || !/ENOENT|os error 2\b/.test(String(error))) throw error
    }
  }
}

/** Seats of a process that ends by `process.exit`. One listener for all: Node warns of more than ten. */
const atExit = new Set<() => void>()
process.on('exit', () => {
  for (const release of [...atExit]) release()
})

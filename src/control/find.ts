/** Finds the tunnels that run in this network namespace. */

import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ZPortalError } from '../errors.js'
import { askStatus, NobodyThere } from './client.js'
import { folderOf, networkNamespace, rootsToSearch } from './place.js'
import type { TunnelStatus } from './status.js'

/** A tunnel that runs, or one that seems to and gives no answer. */
export interface Found {
  readonly name: string
  readonly socket: string
  readonly status: TunnelStatus | undefined
  /** Why there is no status. */
  readonly failure: ZPortalError | undefined
  /** Whether it is another user's, whom alone it answers. */
  readonly isForeign: boolean
}

/** Every tunnel here, by name. Sockets of processes that were killed are none. */
export async function findAll(env: NodeJS.ProcessEnv = process.env): Promise<Found[]> {
  const netns = networkNamespace()
  const sockets = rootsToSearch(env).flatMap((root) => socketsIn(folderOf(root, netns)))
  const found = await Promise.all(sockets.map((socket) => lookAt(socket)))
  return found.filter((one) => one !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The tunnel of that name here; undefined when none runs. */
export async function find(name: string, env: NodeJS.ProcessEnv = process.env): Promise<Found | undefined> {
  const netns = networkNamespace()
  const paths = rootsToSearch(env).map((root) => join(folderOf(root, netns), `${name}.sock`))
  const found = await Promise.all(paths.map((path) => lookAt(path)))
  return found.find((one) => one !== undefined)
}

/** What answers at a socket; undefined when nobody listens there. */
export async function lookAt(socket: string): Promise<Found | undefined> {
  const name = basename(socket, '.sock')
  try {
    const status = await askStatus(socket)
    return { name: status.name, socket, status, failure: undefined, isForeign: false }
  } catch (error) {
    if (error instanceof NobodyThere) return undefined
    if (error instanceof ZPortalError) {
      const isForeign = ['EACCES', 'EPERM'].includes((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '')
      return { name, socket, status: undefined, failure: error, isForeign }
    }
    throw error
  }
}

function socketsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.sock') && !file.startsWith('.'))
      .map((file) => join(folder, file))
  } catch {
    // Nothing runs there, or it is not ours to read.
    return []
  }
}

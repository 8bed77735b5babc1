/**
 * Where control sockets lie: `ROOT/NETNS/NAME.sock`, NETNS being the number of the network namespace that the device is
 * in. Two devices of one name in two namespaces of a host so have two sockets, and each namespace finds its own.
 */

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** The root that everybody looks in. */
export const RUN_FOLDER = '/run/zportal'
/** One folder a user, for tunnels of users who may not write in {@link RUN_FOLDER}. */
const USER_FOLDERS = '/run/user'

type Env = Readonly<Record<string, string | undefined>>

/** The number of the network namespace of this process, as in `readlink /proc/self/ns/net`. */
export function networkNamespace(): number {
  return statSync('/proc/self/ns/net').ino
}

/** Where a tunnel may put its socket, the best place first. */
export function rootsToServe(env: Env): string[] {
  const only = env['ZPORTAL_RUN_DIR']
  if (only !== undefined) return [only]
  // What systemd made for this service (RuntimeDirectory=zportal/NAME); services of other users have others.
  const ofService = env['RUNTIME_DIRECTORY']?.split(':').filter((folder) => folder.startsWith(`${RUN_FOLDER}/`)) ?? []
  const ofUser = env['XDG_RUNTIME_DIR']
  return [...ofService, RUN_FOLDER, ...(ofUser === undefined ? [] : [join(ofUser, 'zportal')])]
}

/** Where running tunnels may be found. */
export function rootsToSearch(env: Env): string[] {
  const only = env['ZPORTAL_RUN_DIR']
  if (only !== undefined) return [only]
  const ofServices = folders(RUN_FOLDER)
    .filter((name) => !isNamespace(name))
    .map((name) => join(RUN_FOLDER, name))
  const ofUsers = folders(USER_FOLDERS).map((name) => join(USER_FOLDERS, name, 'zportal'))
  return [...new Set([RUN_FOLDER, ...ofServices, ...ofUsers, ...rootsToServe(env)])]
}

/** The folder of one namespace in a root. */
export function folderOf(root: string, netns: number): string {
  return join(root, String(netns))
}

/** The numbers of the namespaces that have a folder in a root. */
export function namespacesIn(root: string): number[] {
  return folders(root).filter(isNamespace).map(Number)
}

function isNamespace(name: string): boolean {
  return /^\d+$/.test(name)
}

function folders(parent: string): string[] {
  try {
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  } catch {
    // It is not there, or not ours to read: either way there is nothing for us in it.
    return []
  }
}

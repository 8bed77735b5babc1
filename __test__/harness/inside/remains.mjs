/**
 * What an owner has on this machine, found by asking the kernel and the file system, not by
 * remembering: an object that a test forgot, or that a crashed program left, is found all the same.
 *
 * An owner is a short name such as `zp1234`. Its processes carry it in their environment
 * (`ZPORTAL_OWNER`), which children inherit; its namespaces, links and directories start with
 * `zp1234-`. Plain JavaScript without dependencies, because the demo and the undertaker run it too.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The variable in the environment of every process that an owner starts. */
export const OWNER_VARIABLE = 'ZPORTAL_OWNER'

/** Rounds of removal: a process killed in one round may have started another before it died. */
const ROUNDS = 50

const NAMESPACES = '/run/netns'
const NAMESPACE_FILES = '/etc/netns'

/** Every object of the owner, each with a sentence for people and the way to remove it. */
export function remains(owner) {
  return [
    ...processes(owner),
    ...entries(NAMESPACES, owner).map((name) => ({
      kind: 'namespace',
      what: `the network namespace ${name}`,
      remove: () => execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' }),
    })),
    ...entries('/sys/class/net', owner).map((name) => ({
      kind: 'link',
      what: `the link ${name}`,
      remove: () => execFileSync('ip', ['link', 'delete', name], { stdio: 'ignore' }),
    })),
    ...[NAMESPACE_FILES, tmpdir()].flatMap((parent) =>
      entries(parent, owner).map((name) => ({
        kind: 'directory',
        what: `the directory ${join(parent, name)}`,
        remove: () => rmSync(join(parent, name), { recursive: true, force: true }),
      })),
    ),
  ]
}

/** Removes everything that {@link remains} finds, as often as needed; says whether nothing is left. */
export function bury(owner) {
  for (let round = 0; round < ROUNDS; round += 1) {
    const left = remains(owner)
    if (left.length === 0) return true
    for (const object of left) {
      try {
        object.remove()
      } catch {
        // It went by itself meanwhile, or goes once its processes are dead: the next round shows.
      }
    }
    // SIGKILL is not instant: give the kernel a moment between the looks.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
  }
  return remains(owner).length === 0
}

function processes(owner) {
  const mark = `${OWNER_VARIABLE}=${owner}`
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .flatMap((pid) => {
      try {
        // A zombie has no environment any more: it is dead, and its parent's to reap.
        if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)) return []
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return [
          {
            kind: 'process',
            what: `the process ${pid} (${command})`,
            remove: () => process.kill(Number(pid), 'SIGKILL'),
          },
        ]
      } catch {
        // It ended between the two looks, or belongs to another user: not ours either way.
        return []
      }
    })
}

function entries(directory, owner) {
  try {
    return readdirSync(directory).filter((name) => name.startsWith(`${owner}-`))
  } catch {
    return [] // The directory exists only once something was put into it.
  }
}

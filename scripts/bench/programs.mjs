/**
 * Programs that run on one of the two hosts: started, waited for, ended. Nothing here sleeps where it
 * could wait for what it wants, and nothing waits for ever. Once the measurement was stopped nothing
 * starts any more, so that what cleans up has the last word.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

import { OWNER_VARIABLE } from '../../__test__/harness/inside/remains.mjs'

/** Whose processes, namespaces and files these are; unique among everything that runs here. */
export const OWNER = `zp${process.pid}b`

/** Between two looks at a condition that cannot be waited for otherwise, in milliseconds. */
const LOOK_EVERY_MS = 20
/** How long a program may take to obey SIGTERM, in milliseconds. */
const OBEY_MS = 2000
/** The state of a listening socket in /proc/net/tcp (include/net/tcp_states.h). */
const TCP_LISTEN = '0A'

const running = new Set()
let stopReason

/** From now on nothing is started, and every wait ends with this reason. */
export function stop(reason) {
  stopReason = reason
}

export function throwIfStopped() {
  if (stopReason) throw stopReason
}

/** Starts a program in a host's namespace; its output is kept in `stdout` and, with its errors, in `said`. */
export function start(host, command) {
  throwIfStopped()
  // `ip netns exec` becomes the program, so the process is the program's own.
  const program = spawn('ip', ['netns', 'exec', host.namespace, ...command], {
    detached: true,
    env: { ...process.env, [OWNER_VARIABLE]: OWNER },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  program.command = command
  program.stdout.text = ''
  program.said = ''
  for (const stream of [program.stdout, program.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      program.said += text
      if (stream === program.stdout) stream.text += text
    })
  }
  running.add(program)
  program.over = once(program, 'close').then(
    ([code, signal]) => (running.delete(program), signal ?? code),
    (error) => (running.delete(program), error.message),
  )
  return program
}

/** Waits for the end of a program by itself, and gives its standard output and its exit code. */
export async function finished(program, withinMs) {
  const late = new AbortController()
  try {
    const code = await Promise.race([
      program.over,
      pause(withinMs, undefined, { signal: late.signal }).then(() => {
        throw new Error(`${program.command[0]} was not done within ${Math.round(withinMs / 1000)} s`)
      }),
    ])
    throwIfStopped()
    return { code, stdout: program.stdout.text }
  } finally {
    late.abort()
    await end(program)
  }
}

/** Runs a program to its end; see {@link finished}. */
export function output(host, command, withinMs) {
  return finished(start(host, command), withinMs)
}

/** Ends a program: asks, and if that does not help, kills its process group. */
export async function end(program) {
  if (!running.has(program)) return
  signal(program, 'SIGTERM')
  const obeyed = new AbortController()
  const late = pause(OBEY_MS, undefined, { signal: obeyed.signal }).then(
    () => signal(program, 'SIGKILL'),
    () => undefined,
  )
  await program.over
  obeyed.abort()
  await late
}

/** Ends every program that still runs. */
export async function endAll() {
  await Promise.all([...running].map((program) => end(program)))
}

/** Looks until the condition holds, and gives what it gave. Fails at once when one of the programs has ended. */
export async function until(what, withinMs, condition, programs = []) {
  const startedAt = performance.now()
  for (;;) {
    throwIfStopped()
    const value = await condition()
    if (value) return value
    const dead = programs.find((program) => !running.has(program))
    if (dead) throw new Error(`${dead.command[0]} ended before ${what}`)
    if (performance.now() - startedAt > withinMs) throw new Error(`not within ${withinMs / 1000} s: ${what}`)
    await pause(LOOK_EVERY_MS)
  }
}

/** Whether the program itself listens on that TCP port; asked of the kernel, because a connection would be a peer. */
export function listens(program, port) {
  try {
    const own = new Set(
      readdirSync(`/proc/${program.pid}/fd`).flatMap((fd) => {
        const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${program.pid}/fd/${fd}`)) ?? []
        return inode ?? []
      }),
    )
    return ['tcp', 'tcp6'].some((table) =>
      readFileSync(`/proc/${program.pid}/net/${table}`, 'utf8')
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .some(
          ([, local, , state, , , , , , inode]) =>
            state === TCP_LISTEN && Number.parseInt(local.split(':')[1], 16) === port && own.has(inode),
        ),
    )
  } catch {
    return false // It has ended, or closed a descriptor between two looks.
  }
}

/** What a program said last, for people who want to know why it failed. */
export function lastWords(program, lines = 5) {
  const said = program.said.trim().split('\n').slice(-lines)
  return said.join('\n')
}

function signal(program, name) {
  try {
    process.kill(-program.pid, name)
  } catch {
    // It has ended already.
  }
}

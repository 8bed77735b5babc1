/**
 * Running other programs so that none of them outlives us: each leads a process group, and a SIGINT
 * or SIGTERM that reaches us is passed on to the group before we end.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** How long a program may take to end after a signal before its group is killed, in milliseconds. */
const OBEY_MS = 10_000

const live = new Set()
let stopping = false

/**
 * Runs a program to its end, its output shown as it comes; with `capture` it is also returned, with
 * `quiet` only returned. Gives the exit code (128 and more for a signal), and never throws for it.
 */
export async function run(command, args, { capture = false, quiet = false, env = {}, cwd = ROOT } = {}) {
  const piped = capture || quiet
  const child = spawn(command, args, {
    cwd,
    detached: true,
    env: { ...process.env, ...(piped && process.stdout.isTTY && !quiet ? { FORCE_COLOR: '1' } : {}), ...env },
    stdio: ['ignore', piped ? 'pipe' : 'inherit', piped ? 'pipe' : 'inherit'],
  })
  live.add(child)
  let output = ''
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]) {
    from?.setEncoding('utf8').on('data', (text) => {
      output += text
      if (!quiet) to.write(text)
    })
  }
  try {
    const [code] = await once(child, 'close')
    return { code: code ?? 128, output }
  } catch (error) {
    // The program is not there: the shell's exit code for it.
    return { code: 127, output: `${output}${error.message}\n` }
  } finally {
    live.delete(child)
    // What was stopped with us has no outcome: nobody goes on from here, the end of this process is near.
    if (stopping) await new Promise(() => undefined)
  }
}

/** Passes SIGINT and SIGTERM on to what runs, waits for its end, and ends with the shell's exit code. */
export function endWithSignals() {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      void stopAll(signal).then(() => process.exit(code))
    })
  }
}

async function stopAll(signal) {
  await Promise.all(
    [...live].map(async (child) => {
      const ended = once(child, 'close')
      killGroup(child, signal)
      const late = setTimeout(() => killGroup(child, 'SIGKILL'), OBEY_MS)
      await ended
      clearTimeout(late)
    }),
  )
}

function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended already.
  }
}

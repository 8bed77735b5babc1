/**
 * `zportal up` in a Node that collects all garbage when asked: what such a process holds, and more with time, is held
 * by our code. Otherwise memory grows and shrinks by megabytes with the moods of the collector.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'
import { type Footprint, footprint } from './proc.js'
import type { Child } from './process.js'
import { type End, event, flags, ROOT } from './zportal.js'

const COLLECT = fileURLToPath(new URL('inside/collect.mjs', import.meta.url))
const NODE = [process.execPath, '--expose-gc', '--import', COLLECT]

/** Starts it and waits until it listens (with `bind`) or is connected. */
export async function collectedUp(at: Namespace, end: End): Promise<Child> {
  const child = at.spawn([...NODE, join(ROOT, 'bin', 'run.js'), 'up', ...flags(end)])
  await child.line(event(end.bind === undefined ? 'up' : 'listening'))
  return child
}

/** What it holds once its garbage is gone. */
export async function held(child: Child): Promise<Footprint> {
  const after = child.lines.length
  child.signal('SIGUSR2')
  await child.line(/"heapUsed"/, { after })
  return footprint(child.pid)
}

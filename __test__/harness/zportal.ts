/** The commands under test, started as a user starts them. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'
import type { Child, ChildOptions } from './process.js'

/** The repository under test. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export const ZPORTAL = [process.execPath, join(ROOT, 'bin', 'run.js')]
export const ZPORTALD = [process.execPath, join(ROOT, 'bin', 'zportald.js')]

/** One end of a tunnel. Exactly one of `bind` and `connect`. */
export interface End {
  name?: string
  mtuBytes?: number
  /** With prefix lengths. */
  addresses: string[]
  bind?: string
  connect?: string
  proxies?: string[]
  /** Further flags, as they are. */
  more?: string[]
}

/** A line of the log for an event; the rest of the line is `key=value` pairs. */
export function event(name: string): RegExp {
  return new RegExp(`^\\S+ \\w+ ${name}(?= |$).*`)
}

/** The flags for one end: short ones, which `zportal up` and `zportald` share. */
export function flags({
  name = 'zt0',
  mtuBytes = 1400,
  addresses,
  bind,
  connect,
  proxies = [],
  more = [],
}: End): string[] {
  return [
    ...['-n', name, '-m', String(mtuBytes)],
    ...addresses.flatMap((address) => ['-a', address]),
    ...(bind === undefined ? [] : ['-b', bind]),
    ...(connect === undefined ? [] : ['-c', connect]),
    ...proxies.flatMap((proxy) => ['-p', proxy]),
    ...more,
  ]
}

/** Starts `zportal` with any arguments, and waits for nothing. */
export function zportal(at: Namespace, args: string[], options: Omit<ChildOptions, 'owner'> = {}): Child {
  return at.spawn([...ZPORTAL, ...args], options)
}

/**
 * Starts `zportal up` and waits until it listens (with `bind`) or is connected. `limits` are prlimit(1)'s, such as
 * `--nofile=64`.
 */
export async function up(at: Namespace, end: End, limits: readonly string[] = []): Promise<Child> {
  const limited = limits.length > 0 ? ['prlimit', ...limits] : []
  const child = at.spawn([...limited, ...ZPORTAL, 'up', ...flags(end)])
  await child.line(event(end.bind === undefined ? 'up' : 'listening'))
  return child
}

/** The same for `zportald`. */
export async function zportald(at: Namespace, end: End): Promise<Child> {
  const child = at.spawn([...ZPORTALD, ...flags(end)])
  await child.line(event(end.bind === undefined ? 'up' : 'listening'))
  return child
}

/**
 * The recipes of README.md, taken from it as they stand and followed to the letter: what a reader copies is what runs.
 *
 * A code block is found by the comment above it: `<!-- recipe 1: listening end -->`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect } from 'vitest'

import type { Namespace } from './namespace.js'
import { ping } from './ping.js'
import type { Child } from './process.js'
import { INNER, type Pair } from './topology.js'
import { event, ROOT } from './zportal.js'

/** How a reader runs things: `zportal` is on the path, and `import 'zportal'` finds the library. */
export interface Reader {
  shell(at: Namespace, commands: string): Child
  program(at: Namespace, code: string): Child
}

/** The code block under a marker. */
export function recipe(marker: string): string {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const [, code] = new RegExp(`<!-- recipe ${marker} -->\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(readme) ?? []
  if (code === undefined) throw new Error(`README.md has no recipe "${marker}"`)
  return code
}

/** Recipe 1, and recipe 5 against its listening end. The server has the address that the recipe says. */
export async function twoHostsAndLibrary({ server, client }: Pair, reader: Reader): Promise<void> {
  const listening = reader.shell(server, recipe('1: listening end'))
  await listening.line(event('listening'))
  const dialing = reader.shell(client, recipe('1: dialing end'))
  await dialing.line(event('up'))
  for (const to of [INNER.server.ipv4, 'fd00::1']) expect(await ping(client, to)).toMatchObject({ received: 10 })
  await endByCtrlC(dialing)

  const program = reader.program(client, recipe('5: tunnel.mjs'))
  await program.line(/^zt0 up .*192\.0\.2\.1:7000/)
  expect(await ping(client, INNER.server.ipv4)).toMatchObject({ received: 10 })
  await endByCtrlC(program)
  await program.line(/^zt0 closed closed by request$/)
  await endByCtrlC(listening)
}

/** Recipe 4, between two namespaces; `shared` takes the place of the directory that both see. */
export async function unixSocket({ server, client }: Pair, reader: Reader, shared: string): Promise<void> {
  const commands = (end: string): string => recipe(`4: ${end}`).replaceAll('/shared/', `${shared}/`)
  const listening = reader.shell(server, commands('listening end'))
  await listening.line(event('listening'))
  const dialing = reader.shell(client, commands('dialing end'))
  await dialing.line(event('up'))
  expect(await ping(client, INNER.server.ipv4)).toMatchObject({ received: 10 })
  await endByCtrlC(dialing)
  await endByCtrlC(listening)
}

/** A terminal sends the signal to everything that it started. */
async function endByCtrlC(child: Child): Promise<void> {
  child.signalGroup('SIGINT')
  await child.exit()
}

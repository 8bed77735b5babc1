/** Many strangers at a server's door; see `inside/crowd.mjs`. */
import { fileURLToPath } from 'node:url'

import { frame } from './frame.js'
import { helloPacket } from './hello.js'
import type { Namespace } from './namespace.js'

const SCRIPT = fileURLToPath(new URL('inside/crowd.mjs', import.meta.url))

export interface Crowd {
  connections: number
  atOnce: number
}

/** Lets the crowd come, and waits until the last of it has been sent away. */
export async function crowd(
  from: Namespace,
  to: { address: string; port: number },
  { connections, atOnce }: Crowd,
): Promise<{ connected: number; refused: number }> {
  const hello = frame(helloPacket({})).toString('hex')
  // At the lowest priority: what it does to the processors is not what is measured.
  await using strangers = from.spawn([
    ...['nice', '-n', '19', process.execPath, SCRIPT, to.address, String(to.port)],
    ...[String(connections), String(atOnce), hello],
  ])
  await strangers.exitsWith(0, 60_000 + connections * 30)
  return JSON.parse(strangers.stdout) as { connected: number; refused: number }
}

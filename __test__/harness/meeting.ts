/** Two namespaces that share nothing but the file system, and a tunnel between them over a Unix socket. */
import type { Lab } from './lab.js'
import type { Namespace } from './namespace.js'
import type { Child } from './process.js'
import { innerOf } from './topology.js'
import { up } from './zportal.js'

export interface Meeting {
  /** Where the server is. */
  blue: Namespace
  /** Where the client is. */
  red: Namespace
  /** The address at which they meet, as `-b` and `-c` take it. */
  meeting: string
  /** The server, listening. */
  serve: () => Promise<Child>
  /** The client, up. */
  dial: () => Promise<Child>
}

/**
 *     ┌─ blue ───────────────┐                       ┌─ red ────────────────┐
 *     │ zt0  10.10.0.1       │ ═══════ tunnel ══════ │ zt0  10.10.0.2       │
 *     │      unix:…/zp.sock ◄┼── the file system ────┼─►                    │
 *     └──────────────────────┘                       └──────────────────────┘
 */
export async function meetingOf(lab: Lab): Promise<Meeting> {
  const [blue, red] = [await lab.namespace('blue'), await lab.namespace('red')]
  const meeting = `unix:${await lab.path('zp.sock')}`
  return {
    blue,
    red,
    meeting,
    serve: () => up(blue, { addresses: innerOf('server'), bind: meeting }),
    dial: () => up(red, { addresses: innerOf('client'), connect: meeting }),
  }
}

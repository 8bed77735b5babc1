/** A wire that goes wrong when told to; see `inside/relay.mjs`. */
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'
import type { Child } from './process.js'

const SCRIPT = fileURLToPath(new URL('inside/relay.mjs', import.meta.url))

/** What goes wrong from now on; nothing when empty. */
export interface Fault {
  splitBytes?: number
  delayMs?: number
  stall?: boolean
  farGone?: boolean
  at?: number
  do?: 'flip' | 'cut' | 'reset' | 'half'
  back?: boolean
  now?: 'cut'
}

export class Relay {
  readonly child: Child

  private constructor(child: Child) {
    this.child = child
  }

  /** Starts it inside a namespace and waits until it listens; each end is `unix:/path` or `192.0.2.1:7000`. */
  static async between(at: Namespace, listen: string, to: string): Promise<Relay> {
    const relay = new Relay(at.spawn([process.execPath, SCRIPT, listen, to]))
    await relay.child.line(/"listening"/)
    return relay
  }

  /** From now on this goes wrong, also for connections to come. */
  async fault(fault: Fault): Promise<void> {
    const after = this.child.lines.length
    this.child.stdin.write(`${JSON.stringify(fault)}\n`)
    await this.child.line(/"fault"/, { after })
  }

  /** Closes the connections that are there; those to come have no fault. */
  async cut(): Promise<void> {
    await this.fault({ now: 'cut' })
  }

  /** Ends it and every connection; a Unix socket's file goes too. */
  async end(): Promise<void> {
    this.child.stdin.end()
    await this.child.exitsWith(0)
  }
}

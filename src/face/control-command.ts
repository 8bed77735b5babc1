/** What the commands that ask running tunnels share. */

import { Flags } from '@oclif/core'
import { FaceCommand } from './command.js'

export const SOCKET_FLAG = {
  socket: Flags.string({ helpValue: 'PATH', summary: 'Ask at this socket, for a tunnel started with --control PATH.' }),
}

export const JSON_FLAG = { json: Flags.boolean({ summary: 'Print JSON.' }) }

export abstract class ControlCommand extends FaceCommand {
  /** Prints a document, as a line of JSON. */
  protected printJson(document: object): void {
    this.log(JSON.stringify(document))
  }
}

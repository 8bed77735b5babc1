import { askDown } from '../control/client.js'
import { running } from '../control/target.js'
import { TARGET_ARGS } from '../face/arguments.js'
import { ControlCommand, JSON_FLAG, SOCKET_FLAG } from '../face/control-command.js'
import { formatBytes } from '../face/format.js'

/** `zportal down`: the clean end of a tunnel, from outside. */
export default class Down extends ControlCommand {
  static override summary = 'End a tunnel and wait until it is gone.'

  static override description = `The program that runs it ends with exit code 0, as after SIGTERM; its device and its sockets are gone when this returns. Exit code: 0, or 4 when no such tunnel runs.`

  static override examples = ['<%= config.bin %> down', '<%= config.bin %> down zt0']

  static override args = TARGET_ARGS

  static override flags = { ...JSON_FLAG, ...SOCKET_FLAG }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Down)
    const { socket } = await running({ name: args.name, socket: flags.socket }, process.env)
    const last = await askDown(socket)
    const { txBytes, rxBytes } = last.stats
    if (flags.json) this.printJson(last)
    else this.log(`${last.name} is down; sent ${formatBytes(txBytes)}, received ${formatBytes(rxBytes)}`)
  }
}

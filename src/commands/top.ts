import { running } from '../control/target.js'
import { ZPortalError } from '../errors.js'
import { TARGET_ARGS } from '../face/arguments.js'
import { ControlCommand, SOCKET_FLAG } from '../face/control-command.js'

/** `zportal top`: a tunnel, live. */
export default class Top extends ControlCommand {
  static override summary = 'Watch a tunnel live: rates, round trip, queue, drops, hops and what happened. q quits.'

  static override description = `Needs a terminal; programs read "zportal events" or "zportal status --json". Exit code: 0, or 4 when no such tunnel runs.`

  static override examples = ['<%= config.bin %> top', '<%= config.bin %> top zt0']

  static override args = TARGET_ARGS

  static override flags = { ...SOCKET_FLAG }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Top)
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      throw new ZPortalError('ZP_OPTION', 'top needs a terminal; zportal status --json is for programs')
    }
    const { socket } = await running({ name: args.name, socket: flags.socket }, process.env)
    const { watch } = await import('../top/run.js')
    await watch(socket, process.stdin, process.stdout, process.env)
  }
}

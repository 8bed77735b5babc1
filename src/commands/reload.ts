import { askReload } from '../control/client.js'
import { running } from '../control/target.js'
import { TARGET_ARGS } from '../face/arguments.js'
import { ControlCommand, JSON_FLAG, SOCKET_FLAG } from '../face/control-command.js'

/** `zportal reload`: SIGHUP with an answer. */
export default class Reload extends ControlCommand {
  static override summary = 'Let a running tunnel read its config file again.'

  static override description = `Says which changed settings hold from now on, which from the next dial or session on, and which need a restart; docs/CONFIG.md lists them. A file that is wrong changes nothing. SIGHUP does the same, and the answer is in the log. Exit code: 0, 2 when the file is wrong, 4 when no such tunnel runs.`

  static override examples = ['<%= config.bin %> reload lab']

  static override args = TARGET_ARGS

  static override flags = { ...JSON_FLAG, ...SOCKET_FLAG }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Reload)
    const { socket, name } = await running({ name: args.name, socket: flags.socket }, process.env)
    const reloaded = await askReload(socket)
    const { applied, next, restart } = reloaded
    if (flags.json) this.printJson(reloaded)
    else if (applied.length + next.length + restart.length === 0) this.log(`${name}: nothing has changed`)
    else {
      if (applied.length > 0) this.log(`${name}: applied ${applied.join(', ')}`)
      if (next.length > 0) this.log(`${name}: from the next dial or session on ${next.join(', ')}`)
      if (restart.length > 0) this.log(`${name}: needs a restart for ${restart.join(', ')}`)
    }
  }
}

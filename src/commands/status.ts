import { findAll } from '../control/find.js'
import type { TunnelStatus } from '../control/status.js'
import { STATUS_VERSION } from '../control/status.js'
import { lookFor, notRunning } from '../control/target.js'
import { EXIT_NOT_RUNNING, EXIT_NOT_UP } from '../face/command.js'
import { TARGET_ARGS } from '../face/arguments.js'
import { ControlCommand, JSON_FLAG, SOCKET_FLAG } from '../face/control-command.js'
import { statusTable, statusText } from '../face/status-text.js'

/** `zportal status`: what runs here, and how it is. */
export default class Status extends ControlCommand {
  static override summary = 'Show the tunnels of this network namespace, or one of them.'

  static override description = `Exit code: 0 when it is up (without NAME: all are), 3 when it is looking for its peer, 4 when it does not run (none does).

The JSON is described in docs/CONTROL.md.`

  static override examples = [
    '<%= config.bin %> status',
    '<%= config.bin %> status zt0 --json',
    'In another network namespace:',
    'ip netns exec blue <%= config.bin %> status',
  ]

  static override args = TARGET_ARGS

  static override flags = { ...JSON_FLAG, ...SOCKET_FLAG }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Status)
    if (args.name === undefined && flags.socket === undefined) await this.#all(flags.json)
    else await this.#one({ name: args.name, socket: flags.socket }, flags.json)
  }

  async #one(target: { name: string | undefined; socket: string | undefined }, json: boolean): Promise<void> {
    const found = await lookFor(target, process.env)
    if (found === undefined) {
      if (!json) throw notRunning(target)
      this.printJson({ version: STATUS_VERSION, name: target.name ?? null, state: 'not-running' })
      process.exitCode = EXIT_NOT_RUNNING
      return
    }
    const { status, failure } = found
    if (status === undefined) throw failure ?? notRunning(target)
    if (json) this.printJson(status)
    else process.stdout.write(statusText(status))
    process.exitCode = exitCode([status])
  }

  async #all(json: boolean): Promise<void> {
    const all = await findAll()
    const known = all.map(({ status }) => status).filter((status) => status !== undefined)
    if (json) this.printJson({ version: STATUS_VERSION, tunnels: known })
    else if (all.length === 0) throw notRunning({})
    else if (known.length === 1 && known[0] !== undefined) process.stdout.write(statusText(known[0]))
    else if (known.length > 1) process.stdout.write(statusTable(known))
    const failures = all.map(({ failure }) => failure).filter((failure) => failure !== undefined)
    for (const failure of failures) this.logToStderr(`${failure.code}: ${failure.message}`)
    process.exitCode = all.length === 0 ? EXIT_NOT_RUNNING : failures.length > 0 ? EXIT_NOT_UP : exitCode(known)
  }
}

function exitCode(all: readonly TunnelStatus[]): number {
  return all.every(({ state }) => state === 'up') ? 0 : EXIT_NOT_UP
}

import { Flags } from '@oclif/core'
import { STATUS_VERSION } from '../control/status.js'
import { notRunning } from '../control/target.js'
import { TIMEOUT_MAX_MS, waitUntilUp } from '../control/wait.js'
import { ZPortalError } from '../errors.js'
import { EXIT_NOT_RUNNING, EXIT_NOT_UP } from '../face/command.js'
import { TARGET_ARGS } from '../face/arguments.js'
import { ControlCommand, JSON_FLAG, SOCKET_FLAG } from '../face/control-command.js'

const DEFAULT_TIMEOUT_S = 30
/** In whole seconds what a timer takes. */
const TIMEOUT_MAX_S = Math.floor(TIMEOUT_MAX_MS / 1000)

/** `zportal wait`: for scripts that need the tunnel. */
export default class Wait extends ControlCommand {
  static override summary = 'Wait until traffic can flow through a tunnel.'

  static override description = `Also for a tunnel that is yet to be started. Exit code: 0 when it is up, 3 when it was still looking for its peer at the end of the time, 4 when it did not run.`

  static override examples = ['<%= config.bin %> wait zt0 --timeout 10 && ping -c 3 10.10.0.1']

  static override args = TARGET_ARGS

  static override flags = {
    timeout: Flags.string({
      helpValue: 'SECONDS',
      summary: `How long to wait at most. [default: ${DEFAULT_TIMEOUT_S}]`,
      default: String(DEFAULT_TIMEOUT_S),
      noCacheDefault: true,
    }),
    ...JSON_FLAG,
    ...SOCKET_FLAG,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Wait)
    const seconds = /^\d+(\.\d+)?$/.test(flags.timeout) ? Number(flags.timeout) : NaN
    if (!(seconds <= TIMEOUT_MAX_S)) {
      const got = JSON.stringify(flags.timeout)
      throw new ZPortalError('ZP_OPTION', `--timeout must be seconds from 0 to ${TIMEOUT_MAX_S}, got ${got}`)
    }
    const target = { name: args.name, socket: flags.socket }
    const status = await waitUntilUp(target, seconds * 1000, process.env)
    if (flags.json) {
      this.printJson(status ?? { version: STATUS_VERSION, name: args.name ?? null, state: 'not-running' })
      process.exitCode = status === undefined ? EXIT_NOT_RUNNING : status.state === 'up' ? 0 : EXIT_NOT_UP
    } else if (status === undefined) {
      throw notRunning(target)
    } else if (status.state === 'up') {
      this.log(`${status.name} is up with ${status.peer?.address ?? 'its peer'}`)
    } else {
      const reason = status.reason === null ? '' : `: ${status.reason.message}`
      this.logToStderr(`${status.name} is ${status.state} after ${seconds} s${reason}`)
      process.exitCode = EXIT_NOT_UP
    }
  }
}

import { askEvents } from '../control/client.js'
import { running } from '../control/target.js'
import { TARGET_ARGS } from '../face/arguments.js'
import { ControlCommand, SOCKET_FLAG } from '../face/control-command.js'

/** `zportal events`: what happens to a tunnel, for programs. */
export default class EventsCommand extends ControlCommand {
  static override summary = 'Print what happens to a tunnel, a line of JSON each, until it ends.'

  static override description = `The first line is the status at the beginning; after it come changes of state and notices (docs/CONTROL.md). Exit code: 0 when the tunnel has ended or after SIGINT and SIGTERM, 4 when no such tunnel runs.`

  static override examples = [
    '<%= config.bin %> events zt0',
    '<%= config.bin %> events | jq -r \'select(.event == "state").state\'',
  ]

  static override args = TARGET_ARGS

  static override flags = { ...SOCKET_FLAG }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(EventsCommand)
    const { socket } = await running({ name: args.name, socket: flags.socket }, process.env)
    const stop = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        stop.abort()
      })
    // A reader that has enough, such as head, is no failure.
    process.stdout.on('error', () => {
      stop.abort()
    })
    for await (const line of askEvents(socket, stop.signal)) {
      if (!process.stdout.write(`${line}\n`)) await drained(stop.signal)
    }
  }
}

/** Waits for a slow reader, so that what piles up does so in the tunnel's socket, which has a bound. */
function drained(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.once('drain', resolve)
    signal.addEventListener('abort', () => {
      resolve()
    })
  })
}

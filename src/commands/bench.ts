import { Flags } from '@oclif/core'
import { askBench } from '../control/client.js'
import { networkNamespace } from '../control/place.js'
import { running } from '../control/target.js'
import { ZPortalError } from '../errors.js'
import { benchText } from '../face/bench-text.js'
import { TARGET_ARGS } from '../face/arguments.js'
import { ControlCommand, JSON_FLAG, SOCKET_FLAG } from '../face/control-command.js'

const DEFAULT_SECONDS = 5
const SECONDS_MAX = 60
const DEFAULT_STREAMS = 4
/** As many as the other end takes (`bench/service.ts`). */
const STREAMS_MAX = 16

/** `zportal bench`: how fast a tunnel is, and what happens to ping meanwhile. */
export default class Bench extends ControlCommand {
  static override summary = 'Measure a running tunnel: throughput both ways, and ping under load, with a grade.'

  static override description = `Nothing has to be started at the other end: the two ZPortals agree through the tunnel, and the other listens inside it for as long as the bench takes, for this end alone; unless it runs with --no-bench. An original cannot be asked.

The load fills the tunnel for that time. The grade says how much the median ping rises meanwhile: A+ below 5 ms, A below 30, B below 60, C below 200, D below 400, else F. "In the stream" is the round trip that the two ends measure between themselves, without the queues of the tunnel.

Exit code: 0, 1 when the peer does not take part or is lost meanwhile, 3 when the tunnel is not up, 4 when no such tunnel runs. docs/TUNING.md says what the figures mean.`

  static override examples = ['<%= config.bin %> bench', '<%= config.bin %> bench zt0 --time 20 --json']

  static override args = TARGET_ARGS

  static override flags = {
    time: Flags.string({
      helpValue: 'SECONDS',
      summary: `How long each direction is measured, 1 to ${SECONDS_MAX}. [default: ${DEFAULT_SECONDS}]`,
      default: String(DEFAULT_SECONDS),
      noCacheDefault: true,
    }),
    streams: Flags.string({
      helpValue: 'COUNT',
      summary: `TCP streams at a time, 1 to ${STREAMS_MAX}. [default: ${DEFAULT_STREAMS}]`,
      default: String(DEFAULT_STREAMS),
      noCacheDefault: true,
    }),
    ...JSON_FLAG,
    ...SOCKET_FLAG,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Bench)
    const seconds = within('--time', flags.time, SECONDS_MAX, 'seconds')
    const streams = within('--streams', flags.streams, STREAMS_MAX, 'a number')
    const { socket, status } = await running({ name: args.name, socket: flags.socket }, process.env)
    if (status?.state !== 'up') {
      const reason = status?.reason ? `: ${status.reason.message}` : ''
      throw new ZPortalError('ZP_NOT_UP', `there is nothing to measure: ${status?.name} is ${status?.state}${reason}`)
    }
    if (status.netns !== networkNamespace()) {
      throw new ZPortalError('ZP_OPTION', `${status.name} is in another network namespace: run the bench in that one`)
    }
    const { host, port, token } = await askBench(socket)
    // What measures is loaded by those only who measure.
    const { measure } = await import('../bench/measure.js')
    const isWatched = process.stderr.isTTY
    const result = await measure({ socket, status, invitation: { host, port, token }, seconds, streams }, (phase) => {
      if (isWatched) process.stderr.write(`\r\u001b[Kmeasuring ${status.name}: ${phase} …`)
    }).finally(() => {
      if (isWatched) process.stderr.write('\r\u001b[K')
    })
    if (flags.json) this.printJson(result)
    else process.stdout.write(benchText(result))
  }
}

/** @throws {@link ZPortalError} `ZP_OPTION`. */
function within(flag: string, written: string, most: number, what: string): number {
  const number = /^\d+$/.test(written) ? Number(written) : NaN
  if (number >= 1 && number <= most) return number
  throw new ZPortalError('ZP_OPTION', `${flag} must be ${what} from 1 to ${most}, got ${JSON.stringify(written)}`)
}

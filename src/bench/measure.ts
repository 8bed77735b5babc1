/**
 * Measures a tunnel from one end: pings while nothing else happens, then while streams fill it in one direction and in
 * the other. Everything goes through the devices and the whole way between the two ends, as any program's packets do.
 */

import type { TunnelStatus } from '../control/status.js'
import { STATUS_VERSION } from '../control/status.js'
import { ZPortalError } from '../errors.js'
import type { Grade, Pings } from './grade.js'
import { gradeOf, riseOf, summary } from './grade.js'
import type { Load } from './load.js'
import { ControlLine, downward, endedByPeer, upward } from './load.js'
import type { Invitation } from './parley.js'
import { addressesOn, hostOf } from './place.js'
import { Thread } from './thread.js'
import { StreamWatch } from './watch.js'

const IDLE_MS = 1500
/** TCP takes that long to fill a usual link; what it does meanwhile is no throughput. */
const WARM_UP_MS = 1000
/** Pings that come later than that have met a buffer that nobody would call short. */
const LATE_MS = 3000

/** What is to be measured. */
export interface Plan {
  /** The control socket of the tunnel. */
  readonly socket: string
  readonly status: TunnelStatus
  readonly invitation: Invitation
  /** For each direction, after the warm-up. */
  readonly seconds: number
  readonly streams: number
}

/** One direction. */
export interface Direction {
  readonly bitsPerSecond: number
  readonly pings: Pings
  /** How much higher the median ping is than idle. */
  readonly riseMs: number | null
  /** The round trip that the two ZPortals measure between themselves, inside the stream; null while unknown. */
  readonly streamRttMs: number | null
}

/** What `zportal bench --json` prints. */
export interface BenchResult {
  readonly version: typeof STATUS_VERSION
  readonly name: string
  readonly peer: string
  readonly speech: string
  readonly seconds: number
  readonly streams: number
  readonly idle: { readonly pings: Pings; readonly streamRttMs: number | null }
  /** From the peer to here, and from here to the peer. */
  readonly download: Direction
  readonly upload: Direction
  /** The greater rise of the two; null, as the grade, when no ping came back. */
  readonly riseMs: number | null
  readonly grade: Grade | null
}

/** What the phases of a bench have in common. */
interface Bench {
  readonly plan: Plan
  readonly pinger: Thread
  readonly watch: StreamWatch
}

/**
 * Takes about `2 × seconds` and five more. `tell` hears what is measured next.
 *
 * @throws {@link ZPortalError} `ZP_BENCH`.
 */
export async function measure(plan: Plan, tell: (phase: string) => void): Promise<BenchResult> {
  const { status, invitation, seconds, streams } = plan
  const control = await ControlLine.open(invitation)
  const watch = new StreamWatch(plan.socket, status)
  control.onEnd = () => {
    watch.fail(endedByPeer())
  }
  let pinger: Thread | undefined
  try {
    refuseDetour(control.localAddress, status.name)
    pinger = await Thread.start('ping', invitation)
    const bench = { plan, pinger, watch }
    tell('idle')
    const idle = await idlePhase(bench)
    tell('download')
    const down = await loadedPhase(bench, await downward(invitation, streams))
    tell('upload')
    const up = await loadedPhase(bench, await upward(invitation, streams, control))
    const download = { ...down, riseMs: riseOf(idle.pings, down.pings) }
    const upload = { ...up, riseMs: riseOf(idle.pings, up.pings) }
    const rises = [download.riseMs, upload.riseMs].filter((rise) => rise !== null)
    const riseMs = rises.length === 0 ? null : Math.max(...rises)
    return {
      version: STATUS_VERSION,
      name: status.name,
      peer: status.peer?.address ?? '',
      speech: status.peer?.speech ?? '',
      seconds,
      streams,
      idle,
      download,
      upload,
      riseMs,
      grade: riseMs === null ? null : gradeOf(riseMs),
    }
  } finally {
    watch.stop()
    control.close()
    await pinger?.stop()
  }
}

async function idlePhase({ pinger, watch }: Bench): Promise<BenchResult['idle']> {
  await pinger.ask({ begin: true })
  watch.begin()
  await watch.pass(IDLE_MS)
  return { pings: await endOf(pinger), streamRttMs: watch.roundTripMs() }
}

async function loadedPhase({ plan, pinger, watch }: Bench, load: Load): Promise<Omit<Direction, 'riseMs'>> {
  try {
    await watch.pass(WARM_UP_MS)
    await pinger.ask({ begin: true })
    watch.begin()
    const before = await load.count()
    await watch.pass(plan.seconds * 1000)
    const after = await load.count()
    const streamRttMs = watch.roundTripMs()
    const ending = endOf(pinger)
    load.stop()
    const pings = await ending
    const bytes = after.bytes - before.bytes
    if (bytes <= 0)
      throw new ZPortalError('ZP_BENCH', 'nothing came through the tunnel: it is stuck, or too slow to measure')
    return { bitsPerSecond: Math.round((bytes * 8 * 1000) / (after.ms - before.ms)), pings, streamRttMs }
  } finally {
    load.stop()
  }
}

/** The pings since the last beginning. */
async function endOf(pinger: Thread): Promise<Pings> {
  return (await pinger.ask({ begin: false, patienceMs: LATE_MS })) ?? summary(0, [])
}

/** The packets would not go through the tunnel, and everything that is measured would be something else. */
function refuseDetour(localAddress: string, device: string): void {
  const inside = addressesOn(device).map(hostOf)
  if (inside.includes(hostOf(localAddress))) return
  const sentence = `packets to the peer leave from ${localAddress}, and not through ${device}: another route or rule takes them`
  throw new ZPortalError('ZP_BENCH', sentence)
}

/**
 * The second part: what a ping waits while the link is full. Each end of the cable is a slow link with a
 * deep queue, as most people have them, and the hosts use cubic, as most hosts do.
 *
 * Beside the ping somebody looks names up, and our own ends say what packets of such flows waited in their queues.
 */
import { CONTENDERS, DEVICE, OUR_VARIANTS } from './contenders.mjs'
import { lookups, ping, steadyTcp } from './measures.mjs'
import { inRounds } from './rounds.mjs'
import { statisticsOfBoth } from './statistics.mjs'
import { setTimeout as pause } from 'node:timers/promises'

export const HOST_CONGESTION = 'cubic'
export const SECONDS = 6
/** The link that everything is measured on; the others show that it is not the only one. */
export const MAIN_RATE_MBIT = 20
const PING_EVERY_SECONDS = 0.1
const IDLE_PINGS = 50
const IDLE_PING_EVERY_SECONDS = 0.02
const LOOKUP_EVERY_SECONDS = 0.1
/**
 * The load runs so long before the first ping, so that it has filled what it fills. Eight cubic streams lose a good
 * part of their first second: until that is mended the receiver holds back what came after, and then has more than
 * the link carries.
 */
const WARM_UP_SECONDS = 4
/** And so long after the last, so that no ping sees the load's end. */
const RUN_OUT_SECONDS = 1
/** A ping may wait this long for its answer: some contenders hold seconds of data. */
const PATIENCE_SECONDS = 10
/** What an end says of waiting covers the last two to four seconds, so it is asked this often, */
const ASK_EVERY_SECONDS = 2
/** and not sooner than this after the first ping: until then it covers some of the warm-up. */
const ASK_FROM_SECONDS = 4

/** Every load, in the order of the table. */
export const LOADS = [1, 8].flatMap((streams) =>
  ['up', 'down', 'both'].map((way) => ({
    key: `${way}${streams}`,
    way,
    streams,
    label: `${streams} stream${streams === 1 ? '' : 's'} ${way === 'both' ? 'each way' : way}`,
  })),
)

const ALL = LOADS.map(({ key }) => key)
const ONE_WAY = ['up1', 'down1']

/** What each is measured under: all on the main link, and on the others what shows that those are not special. */
const SHARES = {
  veth: { main: ALL, others: ['up1', 'down1', 'both8'] },
  openvpn: { main: ['up1', 'down1', 'both1'], others: ['up1'] },
  zportal: { main: ALL, others: ALL },
  ...Object.fromEntries(OUR_VARIANTS.map(({ id }) => [id, { main: ONE_WAY, others: [] }])),
}

/** Those who take part; the others say nothing about this. */
export const LATENCY_CONTENDERS = [
  ...CONTENDERS.filter(({ id }) => id in SHARES).map((contender) =>
    contender.id === 'veth' ? { ...contender, name: 'raw link' } : contender,
  ),
  ...OUR_VARIANTS,
]

const QUICK_RATES_MBIT = [MAIN_RATE_MBIT]
export const RATES_MBIT = [5, MAIN_RATE_MBIT, 100]

/** The links, and on each who is measured under which loads. */
export function planLatency({ takesPart, quick, rates = quick ? QUICK_RATES_MBIT : RATES_MBIT, loads }) {
  return rates.map((rateMbit) => {
    const share = rateMbit === MAIN_RATE_MBIT ? 'main' : 'others'
    const contenders = LATENCY_CONTENDERS.filter(takesPart).flatMap((contender) => {
      const usual = SHARES[contender.id][share].filter((key) => !quick || key.endsWith('1'))
      // Whoever asks for a load gets it, also from those that it is usually not asked of.
      const keys = loads ?? usual
      return keys.length > 0 ? [{ ...contender, loads: LOADS.filter(({ key }) => keys.includes(key)) }] : []
    })
    return { rateMbit, contenders }
  })
}

/** Gives the results for each link of the plan. */
export async function measureLatency({ plan, rounds, seconds, progress }) {
  const links = []
  for (const { rateMbit, contenders } of plan) {
    progress.section(`a link of ${rateMbit} Mbit/s`)
    const link = { rateMbit, congestion: HOST_CONGESTION }
    const measure = ({ take, contender }) => measureOne({ take, seconds, contender })
    links.push({ rateMbit, contenders: await inRounds({ rounds, contenders, link, measure, progress }) })
  }
  return links
}

/** What a run will take, in seconds. */
export function latencySeconds({ plan, rounds, seconds }) {
  const load = WARM_UP_SECONDS + seconds + RUN_OUT_SECONDS + 1
  const all = plan.flatMap(({ contenders }) => contenders)
  return rounds * all.reduce((sum, { loads }) => sum + loads.length * load + 3, 0)
}

async function measureOne({ take, seconds, contender }) {
  await take('idle', async () => {
    const { meanMs, maxMs } = await ping({ count: IDLE_PINGS, everySeconds: IDLE_PING_EVERY_SECONDS })
    return { idleMeanMs: meanMs, idleMaxMs: maxMs }
  })
  for (const load of contender.loads) {
    await take(load.label, () => underLoad({ ...load, seconds, isOurs: contender.ours }))
  }
}

async function underLoad({ key, way, streams, seconds, isOurs }) {
  const untilSecond = WARM_UP_SECONDS + seconds
  const whole = { seconds: untilSecond + RUN_OUT_SECONDS, fromSecond: WARM_UP_SECONDS, untilSecond }
  const times = (everySeconds) => ({ count: Math.round(seconds / everySeconds), everySeconds })
  const patience = { patienceSeconds: PATIENCE_SECONDS }
  const pings = times(PING_EVERY_SECONDS)
  const asked = times(LOOKUP_EVERY_SECONDS)
  const loading = steadyTcp({ way, streams, ...whole })
  const others = pause(WARM_UP_SECONDS * 1000).then(() =>
    Promise.allSettled([
      ping({ ...pings, ...patience }),
      lookups({ ...asked, ...patience }),
      isOurs ? waits(seconds) : {},
    ]),
  )
  // All must be over, also when one has failed, before the next load may begin.
  const [loaded, rest] = await Promise.allSettled([loading, others])
  const [load, echo, looked, waited] = [loaded, ...rest.value].map(({ value, reason }) => {
    if (reason) throw reason
    return value
  })
  const figures = {
    MeanMs: echo.meanMs,
    MaxMs: echo.maxMs,
    LostPercent: (echo.lost / pings.count) * 100,
    Mbit: (load.upBitsPerSecond + load.downBitsPerSecond) / 1e6,
    LookupMeanMs: looked.meanMs,
    LookupMaxMs: looked.maxMs,
    LookupLostPercent: (looked.lost / asked.count) * 100,
    ...waited,
    ...(way === 'both' ? { UpMbit: load.upBitsPerSecond / 1e6, DownMbit: load.downBitsPerSecond / 1e6 } : {}),
    ...(streams > 1 ? { Jain: Math.min(...[load.upJain, load.downJain].filter(Number.isFinite)) } : {}),
  }
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${key}${name}`, value]))
}

/** What packets waited in the queues of the two ends, the worse of them, while it lasts. */
async function waits(seconds) {
  const startedAt = performance.now()
  const most = { SparseWaitMs: 0, WaitMs: 0 }
  for (let at = Math.min(ASK_FROM_SECONDS, seconds); at <= seconds; at += ASK_EVERY_SECONDS) {
    await pause(startedAt + at * 1000 - performance.now())
    for (const { sojournSparseP99Us, sojournP99Us } of await statisticsOfBoth(DEVICE)) {
      most.SparseWaitMs = Math.max(most.SparseWaitMs, sojournSparseP99Us / 1000)
      most.WaitMs = Math.max(most.WaitMs, sojournP99Us / 1000)
    }
  }
  return most
}

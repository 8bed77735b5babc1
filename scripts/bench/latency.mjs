/**
 * The second part: what a ping waits while the link is full. Each end of the cable is a slow link with a
 * deep queue, as most people have them, and the hosts use cubic, as most hosts do.
 */
import { CONTENDERS } from './contenders.mjs'
import { ping, steadyTcp } from './measures.mjs'
import { inRounds } from './rounds.mjs'
import { setTimeout as pause } from 'node:timers/promises'

export const RATES_MBIT = [5, 20, 100]
/** What a quick run has of both. */
export const QUICK_RATES_MBIT = [20]
export const HOST_CONGESTION = 'cubic'
export const SECONDS = 8
const PING_EVERY_SECONDS = 0.1
const IDLE_PINGS = 50
const IDLE_PING_EVERY_SECONDS = 0.02
/** The load runs so long before the first ping, so that it has filled what it fills. */
const WARM_UP_SECONDS = 2
/** And so long after the last, so that no ping sees the load's end. */
const RUN_OUT_SECONDS = 1
/** A ping may wait this long for its answer: some contenders hold seconds of data. */
const PATIENCE_SECONDS = 10

/** Every load, in the order of the table. */
export const LOADS = [1, 8].flatMap((streams) =>
  ['up', 'down', 'both'].map((way) => ({
    key: `${way}${streams}`,
    way,
    streams,
    label: `${streams} stream${streams === 1 ? '' : 's'} ${way === 'both' ? 'each way' : way}`,
  })),
)

export const QUICK_LOADS = LOADS.filter(({ streams }) => streams === 1)

/** Those who take part; the others say nothing about this. */
export const LATENCY_CONTENDERS = CONTENDERS.filter(({ id }) => ['veth', 'openvpn', 'zportal'].includes(id)).map(
  (contender) => (contender.id === 'veth' ? { ...contender, name: 'raw link' } : contender),
)

/** Gives the results for each rate. */
export async function measureLatency({ contenders, rounds, seconds, rates, loads, progress }) {
  const links = []
  for (const rateMbit of rates) {
    progress.section(`a link of ${rateMbit} Mbit/s`)
    const link = { rateMbit, congestion: HOST_CONGESTION }
    const measure = ({ take }) => measureOne({ take, seconds, loads })
    links.push({ rateMbit, contenders: await inRounds({ rounds, contenders, link, measure, progress }) })
  }
  return links
}

/** What a run will take, in seconds. */
export function latencySeconds({ contenders, rounds, seconds, rates, loads }) {
  const load = WARM_UP_SECONDS + seconds + RUN_OUT_SECONDS + 1
  return rates.length * contenders.length * rounds * (loads.length * load + 4)
}

async function measureOne({ take, seconds, loads }) {
  await take('idle', async () => {
    const { meanMs, maxMs } = await ping({ count: IDLE_PINGS, everySeconds: IDLE_PING_EVERY_SECONDS })
    return { idleMeanMs: meanMs, idleMaxMs: maxMs }
  })
  for (const { key, label, way, streams } of loads) {
    await take(label, async () => {
      const pings = Math.round(seconds / PING_EVERY_SECONDS)
      const untilSecond = WARM_UP_SECONDS + seconds
      const whole = { seconds: untilSecond + RUN_OUT_SECONDS, fromSecond: WARM_UP_SECONDS, untilSecond }
      const loading = steadyTcp({ way, streams, ...whole })
      const pinging = pause(WARM_UP_SECONDS * 1000).then(() =>
        ping({ count: pings, everySeconds: PING_EVERY_SECONDS, patienceSeconds: PATIENCE_SECONDS }),
      )
      // Both must be over, also when one has failed, before the next load may begin.
      const [load, echo] = (await Promise.allSettled([loading, pinging])).map(({ value, reason }) => {
        if (reason) throw reason
        return value
      })
      return {
        [`${key}MeanMs`]: echo.meanMs,
        [`${key}MaxMs`]: echo.maxMs,
        [`${key}LostPercent`]: (echo.lost / pings) * 100,
        [`${key}Mbit`]: (load.upBitsPerSecond + load.downBitsPerSecond) / 1e6,
        ...(way === 'both'
          ? { [`${key}UpMbit`]: load.upBitsPerSecond / 1e6, [`${key}DownMbit`]: load.downBitsPerSecond / 1e6 }
          : {}),
      }
    })
  }
}

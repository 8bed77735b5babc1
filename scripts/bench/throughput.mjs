/** The first part: how fast each contender is on a cable that is faster than all of them, and what it costs. */
import { CONTENDERS } from './contenders.mjs'
import { cpuSeconds, datagrams, peakRssMib, ping, tcp } from './measures.mjs'
import { inRounds, median } from './rounds.mjs'

const DATAGRAM_BYTES = 100
/** More than any contender carries, so that what arrives is what it can. */
const DATAGRAMS_OFFERED_MBIT = 400
const PINGS = [
  ['round trip, idle', 'rttIdleMs', { count: 200, everySeconds: 0.005 }],
  ['round trip, flood ping', 'rttFloodMs', { count: 2000, flood: true }],
]
/** What a wake-up costs changes by half within seconds, so one look would say little. */
const LOOKS = 7

/** The figures in the order of the table; `less` marks those where less is better, `count` those without a ratio. */
export const MEASURES = [
  { key: 'tcp1UpGbit', label: 'TCP, 1 stream up', unit: 'Gbit/s' },
  { key: 'tcp1DownGbit', label: 'TCP, 1 stream down', unit: 'Gbit/s' },
  { key: 'tcp1BothGbit', label: 'TCP, 1 stream each way, sum', unit: 'Gbit/s' },
  { key: 'tcp8UpGbit', label: 'TCP, 8 streams up', unit: 'Gbit/s' },
  { key: 'tcp8DownGbit', label: 'TCP, 8 streams down', unit: 'Gbit/s' },
  { key: 'tcp8BothGbit', label: 'TCP, 8 streams each way, sum', unit: 'Gbit/s' },
  { key: 'datagramsThousands', label: '100-byte datagrams arriving', unit: '1000/s' },
  { key: 'datagramsReordered', label: 'of these out of order', unit: '', count: true },
  { key: 'rttIdleMs', label: 'round trip, idle', unit: 'ms', less: true },
  { key: 'rttFloodMs', label: 'round trip, flood ping', unit: 'ms', less: true },
  { key: 'cpuSecondsPerGb', label: 'CPU of both ends', unit: 's/GB', less: true },
  { key: 'peakRssMib', label: 'peak memory of an end', unit: 'MiB', less: true },
]

export const SECONDS = 5
/** One figure takes about this much longer than its measuring time, and a contender this much more, in seconds. */
const EXTRA_SECONDS = { figure: 0.4, contender: 13 }
const TIMED_FIGURES = 7

export function measureThroughput({ contenders = CONTENDERS, rounds, seconds, progress }) {
  return inRounds({
    rounds,
    contenders,
    progress,
    async measure({ programs, take }) {
      for (const [name, figure, pings] of PINGS) {
        await take(name, async () => {
          const means = []
          for (let look = 0; look < LOOKS; look += 1) means.push((await ping(pings)).meanMs)
          return { [figure]: median(means) }
        })
      }
      for (const streams of [1, 8]) {
        for (const way of ['up', 'down', 'both']) {
          const name = `tcp${streams}${way[0].toUpperCase()}${way.slice(1)}`
          await take(`TCP, ${streams} streams ${way}`, () => transfer({ name, programs, way, streams, seconds }))
        }
      }
      await take(`${DATAGRAM_BYTES}-byte datagrams`, async () => {
        const { perSecond, reordered } = await datagrams({
          bytes: DATAGRAM_BYTES,
          offeredMbit: DATAGRAMS_OFFERED_MBIT,
          seconds,
        })
        return { datagramsThousands: perSecond / 1000, datagramsReordered: reordered }
      })
      if (programs.length > 0) await take('peak memory', async () => ({ peakRssMib: peakRssMib(programs) }))
    },
  })
}

/** What a run will take, in seconds. */
export function throughputSeconds({ contenders, rounds, seconds }) {
  return contenders.length * rounds * (TIMED_FIGURES * (seconds + EXTRA_SECONDS.figure) + EXTRA_SECONDS.contender)
}

async function transfer({ name, programs, way, streams, seconds }) {
  const before = cpuSeconds(programs)
  const { upBitsPerSecond, downBitsPerSecond, bytes } = await tcp({ way, streams, seconds })
  const used = cpuSeconds(programs) - before
  const parts = { [`${name}UpGbit`]: upBitsPerSecond / 1e9, [`${name}DownGbit`]: downBitsPerSecond / 1e9 }
  const cpu = {
    [`${name}CpuSecondsPerGb`]: used / (bytes / 1e9),
    // The one in the table: the load that everybody measures.
    ...(name === 'tcp1Up' ? { cpuSecondsPerGb: used / (bytes / 1e9) } : {}),
  }
  return {
    [`${name}Gbit`]: (upBitsPerSecond + downBitsPerSecond) / 1e9,
    ...(way === 'both' ? parts : {}),
    ...(programs.length > 0 ? cpu : {}),
  }
}

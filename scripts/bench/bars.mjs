/** What we want of ourselves while the link is full (issue "the queue is ours"): each bar, what was measured, and whether it holds. */
import { fullName } from './contenders.mjs'
import { LOADS, MAIN_RATE_MBIT } from './latency.mjs'

const ONE_WAY = LOADS.filter(({ way }) => way !== 'both')
/** Ping, at most, on the main link; on the others; behind proxies, in milliseconds. */
const MEAN_MS = 15
const MAX_MS = 40
const OTHER_MEAN_MS = { 5: 40, 100: 8 }
const PROXIED_MEAN_MS = 60
/** Goodput, of the raw link's, at least. */
const GOODPUT = 0.97
const PROXIED_GOODPUT = 0.93
const CHAINED_GOODPUT = 0.9
/** Jain's index of eight flows, at least. */
const JAIN = 0.95
/** What a packet of a flow that sends little waits in one of our queues, at most, in milliseconds. */
const SPARSE_WAIT_MS = 5

/** Gives { bar, figure, limit, unit, holds } for each bar that was measured. */
export function latencyBars({ links }) {
  return links.flatMap(({ rateMbit, contenders }) => {
    const of = (id) => contenders.find((contender) => contender.id === id)?.medians ?? {}
    const [raw, ours, cubic] = [of('veth'), of('zportal'), of('zportal-cubic')]
    const isMain = rateMbit === MAIN_RATE_MBIT
    const goodput = (medians, key) => medians[`${key}Mbit`] / raw[`${key}Mbit`]
    const bars = []
    const atMost = (bar, figure, limit, unit) => bars.push({ bar, figure, limit, unit, holds: figure <= limit })
    const atLeast = (bar, figure, limit) =>
      bars.push({ bar, figure, limit, unit: '', isLeast: true, holds: figure >= limit })
    const under = (what, { label }) => `${rateMbit} Mbit/s: ${what} under ${label}`

    for (const load of ONE_WAY) {
      const meanMs = isMain ? MEAN_MS : OTHER_MEAN_MS[rateMbit]
      atMost(under('mean ping', load), ours[`${load.key}MeanMs`], meanMs, 'ms')
      if (!isMain) continue
      atMost(under('slowest ping', load), ours[`${load.key}MaxMs`], MAX_MS, 'ms')
      atLeast(under('goodput, of the raw link,', load), goodput(ours, load.key), GOODPUT)
    }
    for (const load of LOADS) {
      if (load.streams > 1) atLeast(under("Jain's index", load), ours[`${load.key}Jain`], JAIN)
      atMost(under('wait of sparse flows in our queue', load), ours[`${load.key}SparseWaitMs`], SPARSE_WAIT_MS, 'ms')
    }
    for (const load of ONE_WAY) {
      const name = 'mean ping with outer cubic, beside the raw link,'
      atMost(under(name, load), cubic[`${load.key}MeanMs`], raw[`${load.key}MeanMs`], 'ms')
    }
    for (const proxied of contenders.filter(({ proxies }) => proxies)) {
      const least = proxied.proxies > 1 ? CHAINED_GOODPUT : PROXIED_GOODPUT
      for (const load of ONE_WAY) {
        const name = fullName(proxied).replace(/^.* behind/, 'behind')
        atMost(under(`mean ping ${name}`, load), proxied.medians[`${load.key}MeanMs`], PROXIED_MEAN_MS, 'ms')
        atLeast(under(`goodput ${name}, of the raw link,`, load), goodput(proxied.medians, load.key), least)
        atMost(
          under(`wait of sparse flows ${name}`, load),
          proxied.medians[`${load.key}SparseWaitMs`],
          SPARSE_WAIT_MS,
          'ms',
        )
      }
    }
    return bars.filter(({ figure, limit }) => Number.isFinite(figure) && Number.isFinite(limit))
  })
}

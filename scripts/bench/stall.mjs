/**
 * The third part: what it costs when nobody reads any more while the link is full, and how soon all is as before.
 *
 * Which sinks there are, given that a peer that says nothing for ten seconds is dead (docs/ERRORS.md, ZP_PEER_SILENT):
 *
 * - a proxy that stops for less than that: the session lives, our queue takes 6 MiB, the rest is dropped and counted;
 * - a proxy that stops for long: the session ends, what comes is dropped and counted, and the client comes back;
 * - a program behind the tunnel that stops reading for long: the tunnel lives and has nothing to carry.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { bringUp, DEVICE, OUR_VARIANTS } from './contenders.mjs'
import { CLIENT, lower, raise, SERVER } from './lab.mjs'
import { end, start, until } from './programs.mjs'
import { statistics } from './statistics.mjs'

const POUR = fileURLToPath(new URL('inside/pour.mjs', import.meta.url))

const RATE_MBIT = 100
/** A flood nearly fills the link, headers counted, and leaves nothing waiting. */
const FLOOD_MBIT = 85
/** Both ends have their buffers after this, in milliseconds. */
const WARM_UP_MS = 5000
/** The rate before and after is that of so long, in milliseconds. */
const RATE_MS = 2000
const WINDOW_MS = 250
/** How long to wait for the rate to return before giving up, in milliseconds. */
const PATIENCE_MS = 15_000
/** What we want of ourselves. */
const RSS_MIB = 8
const RATE_SHARE = 0.9
const AFTER_MS = 1000

/** Long enough for the queue to fill, too short for the peer to be believed dead, in seconds. */
const SHORT_SECONDS = 8
export const SECONDS = 60

const SCENES = [
  { name: 'proxy, short', who: 'proxy', load: 'flood', seconds: () => SHORT_SECONDS },
  { name: 'proxy, long', who: 'proxy', load: 'flood', seconds: (seconds) => seconds },
  { name: 'program behind the tunnel, long', who: 'drink', load: 'pour', seconds: (seconds) => seconds },
]

/** What a run will take, in seconds. */
export function stallSeconds({ seconds }) {
  const around = (WARM_UP_MS + RATE_MS) / 1000 + 8
  return SCENES.reduce((sum, scene) => sum + scene.seconds(seconds) + around, 0)
}

/** Gives for each scene what was seen, and whether what we want of it holds. */
export async function measureStalls({ seconds, progress }) {
  const scenes = []
  for (const scene of SCENES) {
    progress.begin(scene.name, 1, 1)
    try {
      scenes.push({ name: scene.name, ...(await play(scene, scene.seconds(seconds))) })
    } finally {
      await lower()
    }
    progress.stall(scenes.at(-1))
  }
  return scenes
}

/** The bars of one scene: { bar, figure, limit, unit, holds }. */
export function stallBars({ name, rssMib, uncounted, recoveredMs }) {
  return [
    { bar: `${name}: memory more than before`, figure: rssMib, limit: RSS_MIB, unit: 'MiB', holds: rssMib <= RSS_MIB },
    { bar: `${name}: packets that nobody counted`, figure: uncounted, limit: 0, unit: '', holds: uncounted === 0 },
    {
      bar: `${name}: ${RATE_SHARE * 100} % of the rate again after`,
      figure: recoveredMs,
      limit: AFTER_MS,
      unit: 'ms',
      holds: recoveredMs <= AFTER_MS,
    },
  ]
}

async function play({ who, load }, seconds) {
  const contender = OUR_VARIANTS.find(({ id }) => id === 'zportal-microsocks')
  raise({ rateMbit: RATE_MBIT, proxies: contender.proxies.length })
  const [server, client, proxy] = await bringUp(contender)
  const drinking = start(SERVER, [process.execPath, POUR, 'drink', SERVER.inner])
  await until('somebody drinks', 5000, () => drinking.said.includes('drinking'), [drinking])
  const loading = start(CLIENT, [process.execPath, POUR, load, SERVER.inner, String(FLOOD_MBIT)])
  await pause(WARM_UP_MS)
  const before = await rate(RATE_MS)
  const rssBefore = [server, client].map(rssMib)

  const sink = who === 'proxy' ? proxy : drinking
  sink.kill('SIGSTOP')
  const stoppedAt = performance.now()
  let most = 0
  while (performance.now() - stoppedAt < seconds * 1000) {
    await pause(100)
    most = Math.max(most, ...[server, client].map((program, index) => rssMib(program) - rssBefore[index]))
  }
  const { reconnects } = await statistics(CLIENT, DEVICE)
  sink.kill('SIGCONT')
  const wentOnAt = performance.now()
  const isLost = /ZP_PEER_SILENT/.test(client.said)
  // A client that lost its peer dials again in its own time; from then on it is as good as new.
  if (isLost)
    await until(
      'the client is back',
      PATIENCE_MS,
      async () => (await statistics(CLIENT, DEVICE)).reconnects > reconnects,
    )
  const backMs = performance.now() - wentOnAt
  const recoveredMs = await recovered(before)
  most = Math.max(most, ...[server, client].map((program, index) => rssMib(program) - rssBefore[index]))

  await end(loading)
  await until('nothing waits', 5000, async () => (await statistics(CLIENT, DEVICE)).queuePackets === 0)
  const stats = await statistics(CLIENT, DEVICE)
  const dropped = Object.entries(stats)
    .filter(([name]) => name.startsWith('drops'))
    .reduce((sum, [, count]) => sum + count, 0)
  return {
    seconds,
    mbit: (before * 8) / 1e6,
    rssMib: most,
    dropped,
    // Super-packets count as one at the device; only single packets can be compared one by one.
    uncounted: load === 'flood' ? deviceSent(CLIENT) - stats.txPackets - dropped : 0,
    isLost,
    backMs: isLost ? backMs : 0,
    recoveredMs,
  }
}

/** Bytes a second that come out of the tunnel. */
async function rate(overMs) {
  const from = await statistics(SERVER, DEVICE)
  const startedAt = performance.now()
  await pause(overMs)
  const to = await statistics(SERVER, DEVICE)
  return ((to.rxBytes - from.rxBytes) * 1000) / (performance.now() - startedAt)
}

/** How long it takes until a window has the rate that there was before, in milliseconds. */
async function recovered(before) {
  const startedAt = performance.now()
  while (performance.now() - startedAt < PATIENCE_MS) {
    if ((await rate(WINDOW_MS)) >= before * RATE_SHARE) return performance.now() - startedAt
  }
  return Number.POSITIVE_INFINITY
}

function rssMib({ pid }) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}

/** What the kernel handed to the device, and what it had to drop before. */
function deviceSent({ namespace }) {
  const [{ stats64 }] = JSON.parse(
    execFileSync('ip', ['-n', namespace, '-json', '-s', 'link', 'show', DEVICE], { encoding: 'utf8' }),
  )
  return stats64.tx.packets
}

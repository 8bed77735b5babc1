/** The instruments: iperf3, ping, and what /proc says of a contender's processes. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { CLIENT, SERVER } from './lab.mjs'
import { end, finished, listens, output, start, until } from './programs.mjs'

/** Ticks of the clock in /proc/PID/stat in one second; Linux shows every program this many (USER_HZ). */
const TICKS_PER_SECOND = 100
const IPERF_PORT = 5201
const LOOKUPS = fileURLToPath(new URL('inside/lookups.mjs', import.meta.url))
/** What iperf3 may take beside its measuring time, in milliseconds: a full queue must empty first. */
const IPERF_EXTRA_MS = 60_000

/**
 * TCP through the tunnel: `up` is from client to server, `down` the other way, `both` at once. Gives what
 * arrived, in bits a second, as a sum and for each direction, and the bytes. As iperf3 sums it up itself,
 * which counts what still was in the queues when the time was over.
 */
export async function tcp({ way, streams, seconds }) {
  const { end } = (await iperf3(tcpFlags(way, streams), seconds)).client
  const [first, second] = [end.sum_received, end.sum_received_bidir_reverse]
  const [up, down] = { up: [first], down: [undefined, first], both: [first, second] }[way]
  return {
    upBitsPerSecond: up?.bits_per_second ?? 0,
    downBitsPerSecond: down?.bits_per_second ?? 0,
    bytes: (up?.bytes ?? 0) + (down?.bytes ?? 0),
  }
}

/**
 * TCP for a while, of which only the middle counts: in bits a second what the receiving ends had in each
 * direction from `fromSecond` until `untilSecond`, and how evenly the streams shared it (Jain's index). On a slow
 * link a full queue is seconds of data, and would be counted as speed.
 */
export async function steadyTcp({ way, streams, seconds, fromSecond, untilSecond }) {
  const { client, server } = await iperf3(tcpFlags(way, streams), seconds)
  const [up, down] = [server, client].map((report) => steady(report, fromSecond, untilSecond))
  return {
    upBitsPerSecond: up.bitsPerSecond,
    upJain: up.jain,
    downBitsPerSecond: down.bitsPerSecond,
    downJain: down.jain,
  }
}

function steady({ intervals }, fromSecond, untilSecond) {
  // iperf3's seconds are only about as long as ours.
  const counted = intervals.filter(({ sum: { start, end } }) => start > fromSecond - 0.5 && end < untilSecond + 0.5)
  const bytesOf = new Map()
  for (const { socket, bytes, sender } of counted.flatMap(({ streams }) => streams)) {
    if (!sender) bytesOf.set(socket, (bytesOf.get(socket) ?? 0) + bytes)
  }
  const seconds = counted.reduce((total, { sum }) => total + sum.seconds, 0)
  const shares = [...bytesOf.values()]
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return { bitsPerSecond: (sum * 8) / seconds, jain: sum ** 2 / (shares.length * squares) }
}

function tcpFlags(way, streams) {
  return ['-P', String(streams), ...{ up: [], down: ['-R'], both: ['--bidir'] }[way]]
}

/** UDP datagrams of one flow from client to server: how many a second arrived, and how many of them late. */
export async function datagrams({ bytes, offeredMbit, seconds }) {
  const flags = ['-u', '-l', String(bytes), '-b', `${offeredMbit}M`]
  const { server } = await iperf3(flags, seconds)
  // Only the receiving end knows what came out of order.
  const { packets, lost_packets: lost, seconds: measured, out_of_order: reordered } = server.end.streams[0].udp
  return { perSecond: (packets - lost) / measured, reordered }
}

/** Runs iperf3 on both hosts, and gives the reports of both. */
async function iperf3(flags, seconds) {
  const server = start(SERVER, ['iperf3', '-s', '-1', '-J', '-B', SERVER.inner])
  await until('iperf3 listens', 5000, () => listens(server, IPERF_PORT), [server])
  const command = ['iperf3', '-c', SERVER.inner, '-J', '-t', String(seconds), ...flags]
  try {
    const ofClient = report(await finished(start(CLIENT, command), seconds * 1000 + IPERF_EXTRA_MS))
    return { client: ofClient, server: report(await finished(server, IPERF_EXTRA_MS)) }
  } finally {
    await end(server)
  }
}

function report({ stdout, code }) {
  let parsed
  try {
    parsed = JSON.parse(stdout)
  } catch {
    throw new Error(`iperf3 ended with ${code} and no report`)
  }
  if (parsed.error) throw new Error(`iperf3: ${parsed.error}`)
  return parsed
}

/** Round trips from client to server, in milliseconds; undefined when nothing came back. */
export async function ping({ count, everySeconds = 0.2, flood = false, patienceSeconds = 2 }) {
  const pace = flood ? ['-f'] : ['-i', String(everySeconds)]
  const command = ['ping', '-n', '-q', '-c', String(count), '-W', String(patienceSeconds), ...pace, SERVER.inner]
  // A flood waits for each answer, or 10 ms.
  const withinMs = count * (flood ? 20 : everySeconds * 1000) + patienceSeconds * 1000 + 20_000
  const { stdout, code } = await output(CLIENT, command, withinMs)
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? []
  if (sent === undefined) throw new Error(`ping ended with ${code} and no statistics`)
  const [, , meanMs, maxMs] = /= ([\d.]+)\/([\d.]+)\/([\d.]+)/.exec(stdout)?.map(Number) ?? []
  return { received: Number(received), lost: Number(sent) - Number(received), meanMs, maxMs }
}

/**
 * What somebody waits who rarely asks: a datagram as of a lookup, from another port each time, so often and so many
 * times, in milliseconds from question to answer.
 */
export async function lookups({ count, everySeconds, patienceSeconds }) {
  const answering = start(SERVER, [process.execPath, LOOKUPS, 'answer', SERVER.inner])
  try {
    await until('somebody answers lookups', 5000, () => answering.said.includes('answering'), [answering])
    const command = [process.execPath, LOOKUPS, 'ask', SERVER.inner, String(count), String(everySeconds * 1000)]
    const withinMs = (count * everySeconds + patienceSeconds + 10) * 1000
    const { stdout, code } = await output(CLIENT, [...command, String(patienceSeconds * 1000)], withinMs)
    if (code !== 0) throw new Error(`lookups ended with ${code}`)
    return JSON.parse(stdout)
  } finally {
    await end(answering)
  }
}

/** CPU seconds that the programs and their children have used since they began. */
export function cpuSeconds(programs) {
  return sumOf(programs, (pid) => {
    // The name in the second field may contain spaces and brackets.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1).trim().split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  })
}

/** The most memory that one of the programs ever held, its children with it, in MiB. */
export function peakRssMib(programs) {
  const peakKib = (pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  return Math.max(...programs.map((program) => sumOf([program], peakKib))) / 1024
}

function sumOf(programs, figure) {
  return programs
    .flatMap(({ pid }) => family(pid))
    .reduce((sum, pid) => {
      try {
        return sum + figure(pid)
      } catch {
        return sum // A child that ended between the two looks.
      }
    }, 0)
}

function family(pid) {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    )
    return [pid, ...children.flatMap((child) => family(child))]
  } catch {
    return [pid]
  }
}

/** One run of the bench: the parts that were asked for, told as they go. Gives them as they are written down. */
import { argv } from 'node:process'

import { CONTENDERS, fullName, whyLeftOut } from './contenders.mjs'
import { BUSY_PERCENT, count, figure } from './figures.mjs'
import { BUFFER_MS, MTU_BYTES } from './lab.mjs'
import { latencyBars } from './bars.mjs'
import { HOST_CONGESTION, LATENCY_CONTENDERS, latencySeconds, measureLatency, planLatency } from './latency.mjs'
import { measureStalls, stallBars, stallSeconds } from './stall.mjs'
import { busyPercent, describeCommit, describeMachine, projectVersion, watchStolen } from './machine.mjs'
import { worstBusyPercent } from './rounds.mjs'
import { asText, barsTable, latencyTables, stallTable, throughputTables, troubles } from './table.mjs'
import { measureThroughput, throughputSeconds } from './throughput.mjs'
import { bold, dim, done, failed, heading, quoted } from '../tell.mjs'

const HEADINGS = {
  throughput: 'Throughput and cost',
  latency: 'Ping while the link is full',
  stall: 'A sink that stops reading',
}

/** Measures, prints the tables, and gives each part with what it was taken on. */
export async function runBench({ parts, rounds, seconds, quick, takesPart, rates, loads }) {
  const plan = {
    throughput: { contenders: CONTENDERS.filter(takesPart), rounds, seconds: seconds.throughput },
    latency: { plan: planLatency({ takesPart, quick, rates, loads }), rounds, seconds: seconds.latency },
    stall: { seconds: seconds.stall },
  }
  const machine = await describeMachine()
  const taken = { version: projectVersion(), commit: await describeCommit(), machine, commandLine: commandLine() }
  heading(`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}`)
  const taking = [
    ...(parts.includes('throughput') ? CONTENDERS : []),
    ...(parts.includes('latency') ? LATENCY_CONTENDERS : []),
  ]
  const named = new Map(taking.filter(takesPart).map((contender) => [contender.id, contender]))
  for (const contender of named.values()) {
    const reason = whyLeftOut(contender)
    if (reason) failed(`${fullName(contender)} is skipped: ${reason}`)
  }
  const planned = {
    throughput: () => throughputSeconds(plan.throughput),
    latency: () => latencySeconds(plan.latency),
    stall: () => stallSeconds(plan.stall),
  }
  const minutes = parts.reduce((sum, part) => sum + planned[part](), 0) / 60
  done(`${parts.join(' and ')}: about ${figure(minutes)} minutes`)

  const measured = {
    throughput: async () => ({
      mtuBytes: MTU_BYTES,
      contenders: await measureThroughput({ ...plan.throughput, progress }),
    }),
    latency: async () => {
      const links = await measureLatency({ ...plan.latency, progress })
      const seen = { mtuBytes: MTU_BYTES, congestion: HOST_CONGESTION, bufferMs: BUFFER_MS, links }
      return { ...seen, bars: latencyBars(seen) }
    },
    stall: async () => {
      const scenes = await measureStalls({ ...plan.stall, progress })
      return { scenes, bars: scenes.flatMap(stallBars) }
    },
  }
  const results = {}
  for (const part of parts) {
    heading(HEADINGS[part])
    const when = new Date().toISOString()
    const stolen = watchStolen()
    const busy = await busyPercent()
    const figures = await measured[part]()
    const busyPercentBefore = Math.max(busy, worstBusyPercent(contendersOf(figures)))
    const circumstances = { rounds, seconds: seconds[part], busyPercentBefore, stolenPercent: stolen() }
    results[part] = { when, ...taken, ...circumstances, ...figures }
    print(part, results[part])
  }
  return results
}

const progress = {
  section(text) {
    console.log(`  ${bold(text)}`)
  },
  begin(name, round, rounds) {
    if (process.stdout.isTTY) process.stdout.write(`  ${dim(`… ${name}, run ${round} of ${rounds}`)}\r`)
    this.current = rounds > 1 ? `${name}, run ${round} of ${rounds}` : name
  },
  stall({ name, mbit, rssMib, dropped, backMs, isLost, recoveredMs }) {
    const lost = isLost ? [`lost, back after ${figure(backMs)} ms`] : []
    const all = [`${figure(mbit)} Mbit/s`, `+${figure(rssMib)} MiB`, `${count(dropped)} dropped`, ...lost]
    done(`${name}: ${[...all, `its rate again after ${figure(recoveredMs)} ms`].join(', ')}`)
  },
  end({ figures, seconds, busyPercentBefore, problems = [] }) {
    const short = ['tcp1UpGbit', 'tcp1DownGbit', 'up1MeanMs', 'down1MeanMs']
      .filter((key) => key in figures)
      .map((key) => `${figure(figures[key])} ${key.endsWith('Ms') ? 'ms' : 'Gbit/s'}`)
    const busy = busyPercentBefore >= BUSY_PERCENT ? [`the machine was ${busyPercentBefore} % busy with others`] : []
    const line = `${this.current}: ${[...short, `${seconds} s`, ...busy].join(', ')}`
    if (problems.length === 0) return done(line)
    failed(line)
    for (const { what, why, lastWords } of problems) quoted([`${what}: ${why}`, lastWords].filter(Boolean).join('\n'))
  },
}

function print(part, results) {
  const tables = {
    throughput: () => throughputTables(results),
    latency: () => [...latencyTables(results), barsTable(results.bars)],
    stall: () => [stallTable(results), barsTable(results.bars)],
  }[part]()
  for (const table of tables.filter(({ rows }) => rows.length > 0)) {
    const [header, ...rows] = asText(table)
    console.log(`\n${[bold(header), ...rows].map((line) => `  ${line}`).join('\n')}`)
  }
  const notes = troubles(contendersOf(results))
  const { busyPercentBefore } = results
  if (busyPercentBefore >= BUSY_PERCENT) {
    notes.push(
      `do not trust these figures: before one of the runs the machine was ${busyPercentBefore} % busy with others`,
    )
  }
  if (notes.length > 0) console.log('')
  for (const note of notes) failed(note)
}

function contendersOf({ contenders, links }) {
  return contenders ?? links?.flatMap((link) => link.contenders) ?? []
}

function commandLine() {
  const args = argv.slice(2)
  return `npm run bench${args.length > 0 ? ` -- ${args.join(' ')}` : ''}`
}

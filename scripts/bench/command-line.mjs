/** What `npm run bench -- …` understands. */
import { parseArgs } from 'node:util'

import { CONTENDERS } from './contenders.mjs'
import { LATENCY_CONTENDERS, LOADS, SECONDS as LATENCY_SECONDS } from './latency.mjs'
import { SECONDS as STALL_SECONDS } from './stall.mjs'
import { SECONDS as THROUGHPUT_SECONDS } from './throughput.mjs'

/** A command line that is wrong; the message is for the user as it stands. */
export class Misused extends Error {}

const PARTS = ['throughput', 'latency', 'stall']
/** Those that are measured when none is asked for. */
const USUAL_PARTS = ['throughput', 'latency']
const IDS = [...new Set([...CONTENDERS, ...LATENCY_CONTENDERS].map(({ id }) => id))]

export const USAGE = `npm run bench -- [PART]... [OPTION]...

Measures ZPortal and other tunnels over one TCP stream side by side, between two network namespaces on this
machine. Needs root. What is missing is installed and built first.

PART  throughput   how fast, and what it costs
      latency      what a ping waits while a slow link is full
      stall        what it costs when nobody reads for long, and how soon all is as before
      (none)       the first two
      draw         measures nothing: draws charts and tables again from the results that are there

  --rounds N     runs of each contender, one after the other in turn; medians are reported [3]
  --secs N       seconds of each measurement [throughput ${THROUGHPUT_SECONDS}, latency ${LATENCY_SECONDS}, stall ${STALL_SECONDS}]
  --only IDS     some contenders: ${IDS.join(',')}
  --rates LIST   latency: links of these rates in Mbit/s [5,20,100]
  --loads LIST   latency: these loads instead of those usual for each: ${LOADS.map(({ key }) => key).join(',')}
  --quick        one short run, only throughput unless latency is asked for, only to see that all works
  --out DIR      where results and charts are written [docs/bench; with less than all nowhere]
  --no-ensure    installs and builds nothing
  --help         this`

export function parse(args) {
  const { values, positionals } = parsed(args)
  const { quick = false, only, out } = values
  const draw = positionals.includes('draw')
  for (const part of positionals) {
    if (part !== 'draw' && !PARTS.includes(part)) throw new Misused(`there is no part ${part}; see --help`)
  }
  const ids = only?.split(',')
  for (const id of ids ?? []) if (!IDS.includes(id)) throw new Misused(`--only: nobody is called ${id}`)
  const loads = values.loads?.split(',')
  for (const load of loads ?? []) {
    if (!LOADS.some(({ key }) => key === load)) throw new Misused(`--loads: there is no load ${load}`)
  }
  const asked = PARTS.filter((part) => positionals.includes(part))
  const secs = values.secs && whole('--secs', values.secs)
  return {
    help: values.help ?? false,
    ensure: !values['no-ensure'],
    draw,
    quick,
    parts: asked.length > 0 ? asked : quick ? ['throughput'] : USUAL_PARTS,
    rounds: values.rounds ? whole('--rounds', values.rounds) : quick ? 1 : 3,
    seconds: {
      throughput: secs ?? (quick ? 1 : THROUGHPUT_SECONDS),
      latency: secs ?? (quick ? 3 : LATENCY_SECONDS),
      stall: secs ?? (quick ? 12 : STALL_SECONDS),
    },
    takesPart: ({ id }) => ids === undefined || ids.includes(id),
    rates: values.rates?.split(',').map((rate) => whole('--rates', rate)),
    loads,
    out,
    // Half a comparison must not replace a whole one by accident.
    keeps: out !== undefined || [only, values.rates, loads, quick || undefined].every((less) => less === undefined),
  }
}

function parsed(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        secs: { type: 'string' },
        only: { type: 'string' },
        rates: { type: 'string' },
        loads: { type: 'string' },
        quick: { type: 'boolean' },
        out: { type: 'string' },
        'no-ensure': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new Misused(error.message)
  }
}

function whole(option, text) {
  if (!/^[1-9]\d*$/.test(text)) throw new Misused(`${option}: ${text} is not a whole number above 0`)
  return Number(text)
}

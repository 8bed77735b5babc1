/** What `npm run bench -- …` understands. */
import { parseArgs } from 'node:util'

import { CONTENDERS } from './contenders.mjs'
import { SECONDS as LATENCY_SECONDS } from './latency.mjs'
import { SECONDS as THROUGHPUT_SECONDS } from './throughput.mjs'

/** A command line that is wrong; the message is for the user as it stands. */
export class Misused extends Error {}

const PARTS = ['throughput', 'latency']

export const USAGE = `npm run bench -- [PART]... [OPTION]...

Measures ZPortal and other tunnels over one TCP stream side by side, between two network namespaces on this
machine. Needs root. What is missing is installed and built first.

PART  throughput   how fast, and what it costs
      latency      what a ping waits while a slow link is full
      (neither)    both
      draw         measures nothing: draws charts and tables again from the results that are there

  --repeat N     runs of each contender, one after the other in turn; medians are reported [3]
  --secs N       seconds of each measurement [throughput ${THROUGHPUT_SECONDS}, latency ${LATENCY_SECONDS}]
  --only IDS     some contenders: ${CONTENDERS.map(({ id }) => id).join(',')}
  --quick        one short run, only throughput unless latency is asked for, only to see that all works
  --out DIR      where results and charts are written [docs/bench; with --only or --quick nowhere]
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
  for (const id of ids ?? []) {
    if (!CONTENDERS.some((contender) => contender.id === id)) throw new Misused(`--only: nobody is called ${id}`)
  }
  const asked = PARTS.filter((part) => positionals.includes(part))
  const secs = values.secs && whole('--secs', values.secs)
  return {
    help: values.help ?? false,
    ensure: !values['no-ensure'],
    draw,
    quick,
    parts: asked.length > 0 ? asked : quick ? ['throughput'] : PARTS,
    rounds: values.repeat ? whole('--repeat', values.repeat) : quick ? 1 : 3,
    seconds: {
      throughput: secs ?? (quick ? 1 : THROUGHPUT_SECONDS),
      latency: secs ?? (quick ? 3 : LATENCY_SECONDS),
    },
    takesPart: ({ id }) => ids === undefined || ids.includes(id),
    out,
    // Half a comparison must not replace a whole one by accident.
    keeps: out !== undefined || (only === undefined && !quick),
  }
}

function parsed(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        repeat: { type: 'string' },
        secs: { type: 'string' },
        only: { type: 'string' },
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

/**
 * `npm run fuzz`: looks for bytes that break a law of the parsers (fuzz/laws.rs), four laws at a time.
 *
 *     node scripts/fuzz.mjs [--minutes N | --seconds N] [LAW...]     each law for so long; 1 minute each
 *
 * libFuzzer on stable Rust: coverage is switched on in LLVM itself, and since none of the parsers is unsafe no sanitizer
 * is missed. What breaks a law, or takes longer than ten seconds, is kept in fuzz/corpus/LAW, where `cargo test` replays it
 * for good. Everything else that was found is thrown away: the corpus in the repository stays small.
 */
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { endWithSignals, ROOT, run } from './run.mjs'

const FUZZ = join(ROOT, 'fuzz')
const TARGET = 'x86_64-unknown-linux-gnu'
const COVERAGE = [
  '-Cpasses=sancov-module',
  ...['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'].map(
    (option) => `-Cllvm-args=-sanitizer-coverage-${option}`,
  ),
  '--cfg=fuzzing',
]
const AT_ONCE = 4
/** Frames and packets are the longest inputs; what is longer only slows the search. */
const INPUT_MAX_BYTES = 20_000

endWithSignals()
process.exitCode = await main()

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: 'string' }, seconds: { type: 'string' } },
  })
  const seconds = Number(values.seconds ?? Number(values.minutes ?? 1) * 60)
  if (!Number.isInteger(seconds) || seconds < 1) throw new Error('--minutes and --seconds take a number above 0')
  const known = readdirSync(join(FUZZ, 'corpus'))
  const unknown = positionals.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`there is no law ${unknown.join(', ')}: ${known.join(', ')}`)
  if (process.arch !== 'x64') return skip('fuzzing is set up for x64 only')

  const program = await build()
  if (program === undefined) return 1
  const work = mkdtempSync(join(tmpdir(), 'zportal-fuzz-'))
  process.on('exit', () => rmSync(work, { recursive: true, force: true }))
  const waiting = positionals.length > 0 ? positionals : known
  const failed = []
  const worker = async () => {
    for (let law = waiting.shift(); law !== undefined; law = waiting.shift()) {
      if (!(await fuzz(program, law, seconds, work))) failed.push(law)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return failed.length === 0 ? 0 : 1
}

async function build() {
  const directory = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
  const options = ['--release', '--quiet', '--locked', '--target', TARGET, '--target-dir', join(directory, 'fuzz')]
  const { code } = await run('cargo', ['build', ...options], { cwd: FUZZ, env: { RUSTFLAGS: COVERAGE.join(' ') } })
  return code === 0 ? join(directory, 'fuzz', TARGET, 'release', 'zportal-fuzz') : undefined
}

/** Runs one law; says what came of it. */
async function fuzz(program, law, seconds, work) {
  const corpus = join(FUZZ, 'corpus', law)
  const found = mkdtempSync(join(work, `${law}-`))
  const artifacts = mkdtempSync(join(work, `${law}-broken-`))
  const { code, output } = await run(
    program,
    [
      ...[`-max_total_time=${seconds}`, `-max_len=${INPUT_MAX_BYTES}`, '-timeout=10', '-rss_limit_mb=1024'],
      ...['-print_final_stats=1', `-artifact_prefix=${artifacts}/`, found, corpus],
    ],
    { quiet: true, env: { ZPORTAL_LAW: law } },
  )
  const executions = Number(/number_of_executed_units: (\d+)/.exec(output)?.[1] ?? 0)
  const coverage = [...output.matchAll(/cov: (\d+)/g)].at(-1)?.[1] ?? '?'
  const broken = readdirSync(artifacts)
  for (const name of broken) copyFileSync(join(artifacts, name), join(corpus, name))
  const isGood = code === 0 && executions > 0
  console.log(
    `${law.padEnd(8)} ${isGood ? 'ok' : 'BROKEN'}  ${executions} executions in ${seconds} s, coverage ${coverage}`,
  )
  if (!isGood) {
    console.log(output.split('\n').slice(-40).join('\n'))
    for (const name of broken) console.log(`kept: fuzz/corpus/${law}/${name}`)
  }
  return isGood
}

function skip(sentence) {
  console.log(sentence)
  return 0
}

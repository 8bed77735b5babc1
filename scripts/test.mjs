/**
 * `npm test`: everything that CI checks, in one command. Installs and builds what is missing, then
 * lints, types, Rust tests, TypeScript tests without root, and end-to-end tests in namespaces.
 *
 * A stage that fails does not stop the next. The last line is the total over all runners; a stage
 * that broke counts as one failed, and any failure makes the exit code 1.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ensure, Unmet } from './ensure.mjs'
import { endWithSignals, run } from './run.mjs'
import { honest, NOTHING, ofCargo, ofVitest, sentence, sum } from './totals.mjs'

const reports = mkdtempSync(join(tmpdir(), 'zportal-test-'))
const done = []
process.on('exit', () => rmSync(reports, { recursive: true, force: true }))
endWithSignals()

if (await stage('install and build', prepare)) {
  await stage('eslint and prettier', () => command('npm', ['run', '--silent', 'lint']))
  await stage('rustfmt', () => command('cargo', ['fmt', '--all', '--check']))
  await stage('clippy', () => command('cargo', ['clippy', '--workspace', '--all-targets', '--', '-D', 'warnings']))
  await stage('types', () => command('npm', ['run', '--silent', 'typecheck']))
  await stage('Rust tests', rustTests)
  await stage('fuzzing', () => command('node', ['scripts/fuzz.mjs', '--seconds', '30']))
  await stage('TypeScript tests', () => vitest('test:unit'))
  await stage('end-to-end tests', () => vitest('test:e2e'))
}

for (const { name, seconds, total, tests } of done) {
  console.log(
    `${name.padEnd(22)}${seconds.toFixed(1).padStart(7)} s   ${tests || total.failed ? sentence(total) : 'ok'}`,
  )
}
const total = sum(done.map((stage) => stage.total))
console.log(sentence(total))
process.exitCode = total.failed === 0 ? 0 : 1

/** Runs one stage and keeps its time and its total; says whether it was without failure. */
async function stage(name, work) {
  console.log(`\n── ${name}`)
  const startedAt = performance.now()
  const { code, total = NOTHING, tests = false } = await work()
  const seconds = (performance.now() - startedAt) / 1000
  const kept = honest(total, { code, tests })
  done.push({ name, seconds, total: kept, tests })
  console.log(`── ${name}: ${kept.failed ? 'FAILED' : 'ok'} in ${seconds.toFixed(1)} s`)
  return kept.failed === 0
}

async function prepare() {
  try {
    await ensure({ lint: true })
    return { code: 0 }
  } catch (error) {
    console.error(error instanceof Unmet ? error.message : error)
    return { code: 1 }
  }
}

function command(name, args) {
  return run(name, args)
}

async function rustTests() {
  const { code, output } = await run('cargo', ['test', '--workspace', '--no-fail-fast'], { capture: true })
  return { code, total: ofCargo(output), tests: true }
}

async function vitest(script) {
  const report = join(reports, `${script.replace(':', '-')}.json`)
  const { code } = await run('npm', [
    ...['run', '--silent', script, '--'],
    ...['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`],
  ])
  try {
    return { code, total: ofVitest(JSON.parse(readFileSync(report, 'utf8'))), tests: true }
  } catch {
    return { code: code || 1, tests: true } // It ended before it could write its report.
  }
}

/**
 * `npm run soak [-- NAME...]`: the proofs of a long life with the counts that were promised, in about a quarter of an
 * hour; or some of them, by the names of their files in `__test__/soak`. Prints every figure beside its promise, and exits
 * with 1 if one was not kept. `npm test` runs the same proofs with small counts.
 *
 * `--no-ensure` goes straight to the proofs.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv } from 'node:process'

import { ensure, Unmet } from './ensure.mjs'
import { endWithSignals, ROOT, run } from './run.mjs'
import { table } from './soak/table.mjs'

/** Beyond this something hangs. */
const LONGEST_MINUTES = 45

const PROOFS = readdirSync(join(ROOT, '__test__', 'soak')).map((file) => file.replace(/\.test\.ts$/, ''))

endWithSignals()
process.exitCode = await main(argv.slice(2))

async function main(args) {
  const names = args.filter((arg) => !arg.startsWith('--'))
  const unknown = names.filter((name) => !PROOFS.includes(name))
  if (unknown.length > 0) {
    console.error(`there is no proof ${unknown.join(', ')}; there are: ${PROOFS.join(', ')}`)
    return 2
  }
  if (!args.includes('--no-ensure')) {
    try {
      await ensure()
    } catch (error) {
      if (!(error instanceof Unmet)) throw error
      console.error(error.message)
      return 1
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'zportal-soak-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const report = join(folder, 'figures')
  const files = names.map((name) => `__test__/soak/${name}.test.ts`)
  const { code } = await run(
    'timeout',
    // Its children have groups of their own: the undertaker of the harness sees to them.
    ['-k', '30', `${LONGEST_MINUTES}m`, 'npx', 'vitest', 'run', '--project', 'soak', '--reporter=verbose', ...files],
    { env: { ZPORTAL_SOAK_REPORT: report } },
  )
  const { text, missed } = table(figures(report))
  console.log(`\n${text}`)
  console.log(missed === 0 ? 'every promise was kept' : `${missed} promises were not kept`)
  if (code !== 0 && missed === 0) console.log('but a proof did not come to its end; see above')
  return code === 0 && missed === 0 ? 0 : 1
}

function figures(report) {
  try {
    const lines = readFileSync(report, 'utf8').trim().split('\n')
    return lines.map((line) => JSON.parse(line))
  } catch {
    return [] // Nothing was measured.
  }
}

/** What test runners say about themselves, as `{ passed, failed, skipped }`. Pure: text in, numbers out. */

export const NOTHING = { passed: 0, failed: 0, skipped: 0 }

export function sum(totals) {
  return totals.reduce(
    (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }),
    NOTHING,
  )
}

/** Adds up the `test result:` lines of `cargo test`, one for each test binary and the documentation. */
export function ofCargo(output) {
  // eslint-disable-next-line no-control-regex -- the colours are control characters
  const plain = output.replaceAll(/\u001b\[[\d;]*m/g, '')
  const lines = plain.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;/gm)
  return sum([...lines].map(([, passed, failed, ignored]) => ({ passed: +passed, failed: +failed, skipped: +ignored })))
}

/**
 * Reads the report of vitest's json reporter. A file that failed without a failing test (it could not
 * be loaded, or what comes after its tests failed) counts as one failure more.
 */
export function ofVitest(report) {
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

/**
 * Makes a stage's total honest: a stage that ended badly has failed at least once, whatever its
 * report says, and so has one that was to run tests and ran none.
 */
export function honest(total, { code, tests }) {
  const ran = total.passed + total.failed + total.skipped
  const broken = code !== 0 || (tests && ran === 0)
  return broken && total.failed === 0 ? { ...total, failed: 1 } : total
}

export function sentence({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/* The last line of `npm test`: sums over runners that must not flatter. Needs no root and no topology. */
import { expect, test } from 'vitest'

import { honest, NOTHING, ofCargo, ofVitest, sentence, sum } from '../../scripts/totals.mjs'

test('cargo: every binary and the documentation count, colours or not', () => {
  const output = [
    'running 3 tests',
    'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s',
    'test result: \u001b[31mFAILED\u001b[0m. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s',
  ].join('\n')
  expect(ofCargo(output)).toEqual({ passed: 4, failed: 2, skipped: 1 })
  expect(ofCargo('error: could not compile')).toEqual(NOTHING)
})

test('vitest: a file that failed without a failing test is a failure', () => {
  const report = {
    ...{ numPassedTests: 5, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1 },
    testResults: [
      { status: 'passed', assertionResults: [{ status: 'passed' }] },
      { status: 'failed', assertionResults: [{ status: 'failed' }] },
      { status: 'failed', assertionResults: [{ status: 'passed' }] },
      { status: 'failed', assertionResults: [] },
    ],
  }
  expect(ofVitest(report)).toEqual({ passed: 5, failed: 3, skipped: 3 })
})

test('a stage that broke has failed once', () => {
  expect(honest(NOTHING, { code: 1, tests: false })).toMatchObject({ failed: 1 })
  expect(honest(NOTHING, { code: 0, tests: true })).toMatchObject({ failed: 1 })
  expect(honest({ passed: 9, failed: 0, skipped: 0 }, { code: 101, tests: true })).toMatchObject({ failed: 1 })
  expect(honest({ passed: 9, failed: 2, skipped: 0 }, { code: 1, tests: true })).toMatchObject({ failed: 2 })
  expect(honest({ passed: 9, failed: 0, skipped: 1 }, { code: 0, tests: true })).toMatchObject({ failed: 0 })
})

test('the last line', () => {
  const total = sum([{ passed: 1, failed: 0, skipped: 2 }, NOTHING, { passed: 3, failed: 4, skipped: 5 }])
  expect(sentence(total)).toBe('4 passed, 4 failed, 7 skipped')
})

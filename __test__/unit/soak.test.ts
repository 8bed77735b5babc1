/** The table of `npm run soak`: a promise that was not kept is seen, and counted. */
import { expect, test } from 'vitest'

import { table } from '../../scripts/soak/table.mjs'

test('figures stand under their proof, beside their promises', () => {
  const { text, missed } = table([
    { proof: '3 flaps', what: 'back', value: 2230.05, unit: 'ms', atMost: 3000 },
    { proof: '3 flaps', what: 'altogether', value: 4, unit: 's' },
    { proof: 'cuts', what: 'halves', value: 0, unit: '', atMost: 0 },
  ])
  expect(text.split('\n')).toEqual([
    '3 flaps',
    '    back        2230.05 ms  <= 3000 ms',
    '    altogether         4 s',
    'cuts',
    '    halves               0  <= 0',
  ])
  expect(missed).toBe(0)
})

test('what is beyond its promise is marked', () => {
  const { text, missed } = table([
    { proof: 'cuts', what: 'halves', value: 1, unit: '', atMost: 0 },
    { proof: 'cuts', what: 'others', value: 0, unit: '', atMost: 0 },
  ])
  expect(text).toMatch(/halves .*MISSED$/m)
  expect(text).not.toMatch(/others .*MISSED/)
  expect(missed).toBe(1)
})

test('nothing measured is an empty table', () => {
  expect(table([])).toEqual({ text: '', missed: 0 })
})

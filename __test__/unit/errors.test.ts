import { expect, test } from 'vitest'
import { ERROR_CODES } from '../../src/errors.js'

test('no code is listed twice', () => {
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length)
})

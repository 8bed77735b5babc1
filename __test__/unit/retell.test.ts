import { expect, test } from 'vitest'
import { Retell } from '../../src/face/retell.js'

const MINUTE_MS = 60_000

test('the first of each kind is told, then one in ten minutes, whatever comes between', () => {
  const losses = new Retell()
  const told: string[] = []
  for (let second = 0; second < 30 * 60; second += 1) {
    const kind = second % 3 === 0 ? 'ZP_DIAL_TIMEOUT' : 'ZP_DIAL_REFUSED'
    const { isWorthALine, attempts } = losses.hear(kind, second * 1000)
    if (isWorthALine) told.push(`${kind} ${attempts}`)
  }
  expect(told).toEqual([
    'ZP_DIAL_TIMEOUT 1',
    'ZP_DIAL_REFUSED 2',
    'ZP_DIAL_TIMEOUT 601',
    'ZP_DIAL_REFUSED 602',
    'ZP_DIAL_TIMEOUT 1201',
    'ZP_DIAL_REFUSED 1202',
  ])
})

test('after it was up everything is news again', () => {
  const losses = new Retell()
  losses.hear('ZP_DIAL_REFUSED', 0)
  expect(losses.hear('ZP_DIAL_REFUSED', MINUTE_MS).isWorthALine).toBe(false)
  losses.forget()
  expect(losses.hear('ZP_DIAL_REFUSED', MINUTE_MS + 1)).toEqual({ isWorthALine: true, attempts: 1 })
})

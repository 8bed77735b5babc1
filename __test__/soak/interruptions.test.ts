/* The topology and the promises stand in `proofs/interruptions.ts`. */
import { test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { devicesDown, devicesGone, shortage, stops } from '../proofs/interruptions.js'

endToEnd('interruptions', (lab) => {
  test('a process that stands still for a minute', async () => {
    await stops(lab, 60_000)
  })

  test('our own device down and up', async () => {
    await devicesDown(lab, 100)
  })

  test('our own device deleted', async () => {
    await devicesGone(lab, 6)
  })

  test('no descriptors left', async () => {
    await shortage(lab, 5000)
  })
})

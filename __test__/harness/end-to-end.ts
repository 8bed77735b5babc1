/**
 * The frame of every end-to-end file: a laboratory, what its processes said when a test fails, and
 * the proof afterwards that nothing of it remains.
 */
import { accessSync, constants } from 'node:fs'

import { afterAll, afterEach, beforeEach, describe } from 'vitest'

import { until } from './deadline.js'
import { Lab } from './lab.js'
import type { Child } from './process.js'

/** Why namespaces and TUN devices cannot be had here; undefined where they can. */
export const cannotRun: string | undefined = whyNot()

/** Where they cannot be had, the tests inside count as skipped, and the title says why. */
export function endToEnd(title: string, body: (lab: Lab) => void): void {
  describe.skipIf(cannotRun !== undefined)(cannotRun === undefined ? title : `${title} (skipped: ${cannotRun})`, () => {
    const lab = new Lab()
    let before: ReadonlySet<Child> = new Set()
    beforeEach(() => {
      before = lab.running()
    })
    afterEach(async ({ task }) => {
      const lastWords = await lab.endAllBut(before)
      if (task.result?.state === 'fail') console.error(lastWords)
      // Not at once: the kernel closes the ring of a process that was killed, and with it the device, a moment later.
      await until('the end of every TUN device', 2000, async () => (await lab.tuns()).length === 0)
    })
    afterAll(() => lab.close())
    body(lab)
  })
}

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
  } catch {
    return 'there is no usable /dev/net/tun'
  }
  return undefined
}

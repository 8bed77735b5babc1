/* A dead peer in all eighteen ways; the topology stands in `proofs/dead-peer.ts`. */
import { describe, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { deadPeers, FATES, WAYS } from '../proofs/dead-peer.js'

endToEnd('a dead peer', (lab) => {
  describe.each(WAYS)('%s', (way) => {
    test('is known in time, whatever it died of, idle and loaded', async () => {
      const cases = FATES.flatMap((fate) => [false, true].map((isLoaded) => ({ way, fate, isLoaded })))
      await deadPeers(lab, cases)
    })
  })
})

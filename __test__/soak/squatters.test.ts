/* The topology and the promises stand in `proofs/squatters.ts`. */
import { beforeAll, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Pair, twoHosts } from '../harness/topology.js'
import { silentPeer, squatters, SQUATS } from '../proofs/squatters.js'

endToEnd('squatters', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  test.each(SQUATS)('$name', async (squat) => {
    await squatters(hosts, squat)
  })

  test('before somebody who says nothing either', async () => {
    await silentPeer(hosts)
  })
})

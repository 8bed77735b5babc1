/* The topology and the promises stand in `proofs/endings.ts`. */
import { beforeAll, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Pair, twoHosts } from '../harness/topology.js'
import { endings, ENDINGS } from '../proofs/endings.js'

endToEnd('endings', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  test.each(ENDINGS)('$signal of the $role', async (ending) => {
    await endings(hosts, ending, 10)
  })
})

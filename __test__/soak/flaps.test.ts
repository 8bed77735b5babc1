/* The topology and the promises stand in `proofs/flaps.ts`. */
import { beforeAll, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Pair, twoHosts } from '../harness/topology.js'
import { flaps } from '../proofs/flaps.js'

endToEnd('flaps', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  test('are survived', async () => {
    await flaps(hosts, 100)
  })
})

/* The topology and the promises stand in `proofs/reconnects.ts`. */
import { beforeAll, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Pair, twoHosts } from '../harness/topology.js'
import { reconnects } from '../proofs/reconnects.js'

endToEnd('reconnects', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  test('are survived', async () => {
    await reconnects(hosts, 1000, { from: 100 })
  })
})

/* The topology and the promises stand in `proofs/crowds.ts`. */
import { beforeAll, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Pair, twoHosts } from '../harness/topology.js'
import { crowds } from '../proofs/crowds.js'

endToEnd('crowds', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  test('do not disturb the seated peer', async () => {
    await crowds(hosts, { connections: 10_000, atOnce: 500 }, { rounds: 5 })
  })
})

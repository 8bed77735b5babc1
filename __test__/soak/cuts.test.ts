/* The topology and the promises stand in `proofs/cuts.ts`. */
import { randomInt } from 'node:crypto'

import { beforeAll, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Pair, twoHosts } from '../harness/topology.js'
import { cuts, seeded } from '../proofs/cuts.js'

endToEnd('cuts', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  test('are survived', async () => {
    await cuts(hosts, 100, seeded(randomInt(2 ** 31)))
  })
})

/*
 * A long life in short: the proofs of `npm run soak` with small counts. The topologies and the promises stand in
 * `proofs/`.
 */
import { randomInt } from 'node:crypto'

import { beforeAll, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import { type Pair, twoHosts } from '../harness/topology.js'
import { crowds } from '../proofs/crowds.js'
import { cuts, seeded } from '../proofs/cuts.js'
import { deadPeers } from '../proofs/dead-peer.js'
import { endings } from '../proofs/endings.js'
import { flaps } from '../proofs/flaps.js'
import { reconnects } from '../proofs/reconnects.js'
import { squatters, SQUATS } from '../proofs/squatters.js'

endToEnd('a long life', (lab) => {
  let hosts: Pair
  beforeAll(async () => {
    hosts = await twoHosts(lab)
  })

  test('a dead peer is known, whatever it died of', async () => {
    await deadPeers(lab, [
      { way: 'direct', fate: 'black hole', isLoaded: true },
      { way: 'socks5', fate: 'stopped', isLoaded: false },
      { way: 'unix', fate: 'far side gone', isLoaded: true },
    ])
  })

  test('a cable that is pulled and put in again', async () => {
    await flaps(hosts, 5)
  })

  test('a link that breaks again and again leaves nothing', async () => {
    await reconnects(hosts, 30)
  })

  test('a stream torn at any byte gives whole packets only', async () => {
    const seed = randomInt(2 ** 31)
    await cuts(hosts, 10, seeded(seed)).catch((cause: unknown) => {
      throw new Error(`with the seed ${seed}`, { cause })
    })
  })

  test('a crowd does not disturb the seated peer', async () => {
    await crowds(hosts, { connections: 500, atOnce: 250 }, { rounds: 0 })
  })

  test.each(SQUATS.filter(({ descriptors }) => descriptors !== undefined))('squatters: $name', async (squat) => {
    await squatters(hosts, squat)
  })

  test('SIGTERM under full load', async () => {
    for (const role of ['client', 'server'] as const) await endings(hosts, { role, signal: 'SIGTERM' }, 1)
  })
})

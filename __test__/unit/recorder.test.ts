import { describe, expect, test } from 'vitest'
import { CHANGES_MAX, record } from '../../src/control/recorder.js'
import { FakeAddon, PEER, turn } from './fake-native.js'
import { open } from './run-dir.js'

describe('the record', () => {
  test('keeps the last changes and no more', async () => {
    const addon = new FakeAddon()
    const tunnel = await open({ bind: 'unix:/x' }, {}, addon)
    await turn()
    const recorder = record(tunnel)
    for (let turns = 0; turns < CHANGES_MAX; turns += 1) {
      await addon.tunnel.peerComes()
      await addon.tunnel.peerLeaves('ZP_LINK_LOST')
    }
    const { history, last } = recorder.recorded()
    expect(history).toHaveLength(CHANGES_MAX)
    expect(history.at(-1)).toMatchObject({ state: 'waiting', previous: 'up', reason: 'ZP_LINK_LOST' })
    expect(history.at(-2)).toMatchObject({ state: 'up', peer: PEER.address })
    expect(last?.state).toBe('waiting')
    recorder.stop()
    expect(tunnel.listenerCount('state')).toBe(0)
    await tunnel.close()
  })
})

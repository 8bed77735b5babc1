/** What the types make impossible to write. The compiler checks this file (`npm run typecheck`); nothing in it runs. */

import { describe, expectTypeOf, test } from 'vitest'
import type * as generated from '../../crates/zportal-node/index.js'
import type * as ours from '../../src/native.js'
import type * as probe from '../../src/native-probe.js'
import type { ErrorCode, openTunnel, Peer, Tunnel, TunnelEnd, TunnelOptions, ZPortalError } from '../../src/index.js'

describe('options', () => {
  const take = (_: TunnelOptions): void => undefined

  test('one end or the other', () => {
    take({ bind: 'unix:/x' })
    take({ connect: 'unix:/x' })
    take({ connect: '192.0.2.1:1', proxies: ['unix:/x'], dialTimeoutMs: 1, signal: new AbortController().signal })
    take({ bind: 'unix:/x', connect: undefined, proxies: undefined, name: undefined })

    // @ts-expect-error -- neither end
    take({ name: 'zt0' })
    // @ts-expect-error -- both ends
    take({ bind: 'unix:/x', connect: 'unix:/y' })
    // @ts-expect-error -- a server dials nobody
    take({ bind: 'unix:/x', proxies: ['192.0.2.1:1080'] })
    // @ts-expect-error -- a server dials nobody
    take({ bind: 'unix:/x', dialTimeoutMs: 1000 })
    // @ts-expect-error -- an option that does not exist
    take({ bind: 'unix:/x', adresses: [] })
    // @ts-expect-error -- a number as text
    take({ bind: 'unix:/x', mtu: '1400' })
    // @ts-expect-error -- one address alone
    take({ bind: 'unix:/x', addresses: '10.0.0.1/24' })
  })
})

describe('results', () => {
  test('a tunnel', () => {
    expectTypeOf<typeof openTunnel>().returns.resolves.toEqualTypeOf<Tunnel>()
    expectTypeOf<Tunnel['closed']>().resolves.toEqualTypeOf<TunnelEnd>()
    expectTypeOf<Tunnel['whenUp']>().returns.resolves.toEqualTypeOf<Peer>()
    expectTypeOf<ZPortalError['code']>().toEqualTypeOf<ErrorCode>()
    expectTypeOf<'ZP_NATIVE'>().toExtend<ErrorCode>()
    expectTypeOf<'ZP_TYPO'>().not.toExtend<ErrorCode>()
  })

  test('a change of state tells whether there is a peer or a reason', () => {
    // Never called: a tunnel cannot be made without a kernel.
    const listen = (tunnel: Tunnel) => {
      tunnel.on('state', (change) => {
        if (change.state === 'up') {
          expectTypeOf(change.peer).toEqualTypeOf<Peer>()
          expectTypeOf(change.reason).toEqualTypeOf<undefined>()
        } else if (change.state === 'waiting' || change.state === 'closed') {
          expectTypeOf(change.reason).toEqualTypeOf<ZPortalError>()
        }
      })
      tunnel.on('notice', ({ level }) => {
        expectTypeOf(level).toEqualTypeOf<'info' | 'warn'>()
      })
      // @ts-expect-error -- an event that does not exist
      tunnel.on('error', () => undefined)
    }
    expectTypeOf(listen).toBeFunction()
  })
})

test('what src/native.ts says of the addon is what the binding generates', () => {
  expectTypeOf<ours.NativeOptions>().toEqualTypeOf<generated.NativeOptions>()
  expectTypeOf<ours.NativeFailure>().toEqualTypeOf<generated.NativeFailure>()
  expectTypeOf<ours.NativePeer>().toEqualTypeOf<generated.NativePeer>()
  expectTypeOf<ours.NativeNotice>().toEqualTypeOf<generated.NativeNotice>()
  expectTypeOf<ours.NativeStats>().toEqualTypeOf<generated.NativeStats>()
  expectTypeOf<keyof ours.NativeTunnel>().toEqualTypeOf<keyof generated.NativeTunnel>()
  expectTypeOf<keyof ours.NativeAddon>().toEqualTypeOf<keyof typeof generated>()
  expectTypeOf<keyof probe.NativeProbe>().toEqualTypeOf<Exclude<keyof typeof generated.NativeProbe, 'prototype'>>()
  expectTypeOf<probe.DeviceProbe>().toEqualTypeOf<generated.DeviceProbe>()
  expectTypeOf<probe.PlainProbe>().toEqualTypeOf<generated.PlainProbe>()
  expectTypeOf<probe.CongestionProbe>().toEqualTypeOf<generated.CongestionProbe>()
  expectTypeOf<probe.WayQuestions>().toEqualTypeOf<generated.WayQuestions>()
  expectTypeOf<probe.WayProbe>().toEqualTypeOf<generated.WayProbe>()
  expectTypeOf<probe.HopProbe>().toEqualTypeOf<generated.HopProbe>()
})

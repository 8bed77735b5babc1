import { describe, expect, test } from 'vitest'
import { judgeRoutes, parseRoutes } from '../../src/doctor/routes.js'
import { parseRoute } from '../../src/route.js'

const IPV4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
wg0	0000000A	00000000	0001	0	0	50	000000FF	0	0	0
old	0000A8C0	00000000	0000	0	0	0	0000FFFF	0	0	0
`
const IPV6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001     wg0
fd000000000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000004 00000000 80200001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`
const SYSTEM = parseRoutes(IPV4, IPV6)

test("the kernel's tables are read; what is down, refuses or is local is left out", () => {
  expect(SYSTEM).toEqual([
    { device: 'eth0', destination: '0.0.0.0/0', metric: 0 },
    { device: 'eth0', destination: '192.0.2.0/24', metric: 0 },
    { device: 'wg0', destination: '10.0.0.0/8', metric: 50 },
    { device: 'eth0', destination: 'fd00::/64', metric: 256 },
    { device: 'wg0', destination: '2001:db8::/32', metric: 1024 },
  ])
  expect(parseRoutes('', '')).toEqual([])
})

describe('a route into the tunnel', () => {
  function judged(text: string, more: { name?: string; isServer?: boolean; ipv6?: boolean } = {}) {
    const { value } = parseRoute(text)
    if (value === undefined) throw new Error(text)
    return judgeRoutes([value], SYSTEM, { name: 'zt0', isServer: false, ipv6: true, ...more })
  }

  test.each([
    ['192.0.2.0/24', { status: 'fail', code: 'ZP_ROUTE_EXISTS' }],
    ['2001:db8::/32', { status: 'fail', code: 'ZP_ROUTE_EXISTS' }],
    ['fd00::/64', { status: 'warn', message: /eth0 with a better metric/ }],
    // The tunnel's own has the better one.
    ['10.0.0.0/8', { status: 'pass' }],
    ['192.0.2.0/25', { status: 'pass' }],
    // In halves, beside the default route that is there.
    ['0.0.0.0/0', { status: 'pass', message: /first hop stays outside/ }],
  ])('%s', (text, { message, ...finding }: { status: string; code?: string; message?: RegExp }) => {
    const findings = judged(text)
    expect(findings).toMatchObject([{ id: 'inner.routes', ...finding }])
    if (message !== undefined) expect(findings[0]?.message).toMatch(message)
  })

  test('is judged by who asks, and where', () => {
    expect(judged('192.0.2.0/24', { name: 'eth0' })).toMatchObject([{ status: 'pass' }])
    expect(judged('0.0.0.0/0', { isServer: true })).toMatchObject([{ status: 'warn' }])
    expect(judged('fd01::/64', { ipv6: false })).toMatchObject([{ status: 'fail', code: 'ZP_ROUTE' }])
    expect(judgeRoutes([], SYSTEM, { name: 'zt0', isServer: false, ipv6: true })).toEqual([])
  })
})

import { describe, expect, test } from 'vitest'
import { ZPortalError } from '../../src/errors.js'
import { parseOptions } from '../../src/options.js'
import { redact } from '../../src/redact.js'
import { formatRoute } from '../../src/route.js'

/** The problems that options are refused with, each as one sentence. */
function refusals(options: unknown): string[] {
  try {
    parseOptions(options)
  } catch (error) {
    if (!(error instanceof ZPortalError)) throw error
    expect(error.code).toBe('ZP_OPTION')
    return error.problems.map(({ option, message }) => `${option} ${message}`.trim())
  }
  return []
}

/** The problems with options that are right but for these. */
function refusalsOf(options: object): string[] {
  return refusals({ connect: '192.0.2.1:7000', ...options })
}

const server = { bind: '192.0.2.1:7000' }

describe('what is accepted', () => {
  test('defaults', () => {
    expect(parseOptions(server)).toEqual({
      name: 'tun%d',
      mtuBytes: 1400,
      addresses: [],
      bench: false,
      routes: [],
      offload: true,
      congestion: undefined,
      once: false,
      soMark: undefined,
      control: false,
      metrics: undefined,
      hooks: { up: undefined, down: undefined, reconnect: undefined, timeoutMs: 10_000, required: false },
      signal: undefined,
      role: 'server',
      allow: [],
      bind: { kind: 'tcp4', host: '192.0.2.1', port: 7000 },
    })
    expect(parseOptions({ connect: 'host.example:7000' })).toMatchObject({
      role: 'client',
      connect: { kind: 'name', host: 'host.example', port: 7000 },
      proxies: [],
      dialTimeoutMs: 15_000,
    })
  })

  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['192.0.2.1/32', '192.0.2.1/32'],
    ['FD00:0::/8', 'fd00::/8'],
    ['::/0', '::/0'],
    ['2001:db8:0:8000::/49', '2001:db8:0:8000::/49'],
    ['::ffff:192.0.2.0/120', '::ffff:192.0.2.0/120'],
  ])('the route %j', (route, canonical) => {
    const [parsed] = parseOptions({ ...server, routes: [route] }).routes
    expect(parsed && formatRoute(parsed)).toBe(canonical)
  })

  test('hooks as they are written', () => {
    const up = '  echo "$ZPORTAL_NAME" `date` ${HOME}; # all of it'
    expect(parseOptions({ ...server, hooks: { up, timeoutMs: 1, required: true } }).hooks).toEqual({
      up,
      down: undefined,
      reconnect: undefined,
      timeoutMs: 1,
      required: true,
    })
  })

  test.each(['zt0', 'tun%d', 'a', 'fifteen-bytes-x', 'ünïcödé', 'a.b', '%d'])('the name %j', (name) => {
    expect(parseOptions({ ...server, name }).name).toBe(name)
  })

  test.each([68, 1279, 1280, 65_535])('an MTU of %d', (mtu) => {
    expect(parseOptions({ ...server, mtu }).mtuBytes).toBe(mtu)
  })

  test('addresses of both families, in canonical spelling', () => {
    const { addresses } = parseOptions({ ...server, addresses: ['10.10.0.1/24', 'FD00:0::0001/64', '10.0.0.1/32'] })
    expect(addresses).toEqual([
      { family: 4, address: '10.10.0.1', prefixBits: 24 },
      { family: 6, address: 'fd00::1', prefixBits: 64 },
      { family: 4, address: '10.0.0.1', prefixBits: 32 },
    ])
  })

  test('a Unix socket as the first of several proxies, and all of them for a name', () => {
    const options = parseOptions({
      connect: 'a.onion:1',
      proxies: ['unix:/run/socks', '[2001:db8::1]:1080', 'p.example:1'],
    })
    expect(options).toMatchObject({
      proxies: [{ address: { kind: 'unix' } }, { address: { kind: 'tcp6' } }, { address: { kind: 'name' } }],
    })
  })

  test('undefined is the same as nothing', () => {
    const nothing = { name: undefined, mtu: undefined, addresses: undefined, connect: undefined, proxies: undefined }
    expect(parseOptions({ ...server, ...nothing })).toEqual(parseOptions(server))
  })
})

describe('names', () => {
  test.each([
    ['', 'name must have 1 to 15 bytes, not 0, got "" (string)'],
    ['sixteen-bytes-xx', 'name must have 1 to 15 bytes, not 16, got "sixteen-bytes-xx" (string)'],
    ['üüüüüüüü', 'name must have 1 to 15 bytes, not 16, got "üüüüüüüü" (string)'],
    ['tun%d%d', `name must have '%' only once and as %d, got "tun%d%d" (string)`],
    ['tun%s', `name must have '%' only once and as %d, got "tun%s" (string)`],
    [7, 'name must be a device name such as zt0 or tun%d as a string, got 7 (number)'],
    [null, 'name must be a device name such as zt0 or tun%d as a string, got null'],
  ])('%j is refused', (name, sentence) => {
    expect(refusalsOf({ name })).toEqual([sentence])
  })

  test.each(['a/b', 'a b', 'a:b', 'a\tb', 'a\u0000b', 'a\u001bb', 'a\u007fb', 'a\u0085b', 'a\u200bb', '.', '..'])(
    'what the kernel or a terminal could not bear is refused: %j',
    (name) => {
      expect(refusalsOf({ name })).toEqual([
        expect.stringMatching(/^name must be of printable characters without space, '\/' and ':', and neither/),
      ])
    },
  )
})

describe('the MTU', () => {
  test.each([
    [67, '67 (number)'],
    [65_536, '65536 (number)'],
    [1400.5, '1400.5 (number)'],
    [Number.NaN, 'NaN (number)'],
    ['1400', '"1400" (string)'],
    [true, 'true (boolean)'],
    [[1400], 'an array of 1'],
    [{}, 'an object'],
    [1400n, '1400 (bigint)'],
  ])('%s is refused', (mtu, got) => {
    expect(refusalsOf({ mtu })).toEqual([`mtu must be an integer from 68 to 65535 (bytes), got ${got}`])
  })

  test('below 1280 it goes only without IPv6', () => {
    expect(refusalsOf({ mtu: 1279, addresses: ['10.0.0.1/24'] })).toEqual([])
    expect(refusalsOf({ mtu: 1280, addresses: ['fd00::1/64'] })).toEqual([])
    expect(refusalsOf({ mtu: 1279, addresses: ['10.0.0.1/24', 'fd00::1/64'] })).toEqual([
      'mtu must be at least 1280 because fd00::1/64 is IPv6, got 1279 (number)',
    ])
  })
})

describe('addresses inside the tunnel', () => {
  const forms = 'must be an address with its prefix length, such as 10.10.0.1/24 or fd00::1/64'
  test.each([
    ['10.10.0.1', 'must end in a prefix length, such as 10.10.0.1/24'],
    ['fd00::1', 'must end in a prefix length, such as fd00::1/64'],
    ['10.10.0.1/33', 'must have a prefix length from 0 to 32'],
    ['10.10.0.1/', 'must have a prefix length from 0 to 32'],
    ['10.10.0.1/+8', 'must have a prefix length from 0 to 32'],
    ['fd00::1/129', 'must have a prefix length from 0 to 128'],
    ['10.10.0.1/24/3', forms],
    ['10.10.0.256/24', forms],
    ['010.10.0.1/24', forms],
    ['10.10.0/24', forms],
    ['fe80::1%eth0/64', forms],
    ['host.example/24', forms],
    ['', forms],
    [' 10.10.0.1/24', forms],
    ['0.0.0.0/0', 'must be the address of one host: neither unspecified nor multicast'],
    ['224.0.0.1/24', 'must be the address of one host: neither unspecified nor multicast'],
    ['255.255.255.255/32', 'must be the address of one host: neither unspecified nor multicast'],
    ['::/64', 'must be the address of one host: neither unspecified nor multicast'],
    ['FF02::1/64', 'must be the address of one host: neither unspecified nor multicast'],
  ])('%j is refused', (address, sentence) => {
    expect(refusalsOf({ addresses: ['192.0.2.1/24', address] })).toEqual([
      `addresses[1] ${sentence}, got ${JSON.stringify(address)} (string)`,
    ])
  })

  test('the same address twice is refused, however it is spelled', () => {
    expect(refusalsOf({ addresses: ['fd00::1/64', '10.0.0.1/24', 'fd00:0:0::1/128'] })).toEqual([
      'addresses[2] must not repeat fd00::1/64, got "fd00::1/128" (string)',
    ])
  })

  test('anything but an array of strings is refused', () => {
    expect(refusalsOf({ addresses: '10.0.0.1/24' })).toEqual([
      'addresses must be an array of addresses such as 10.10.0.1/24, got "10.0.0.1/24" (string)',
    ])
    expect(refusalsOf({ addresses: [10] })).toEqual(['addresses[0] must be an address as a string, got 10 (number)'])
  })
})

describe('where streams start and end', () => {
  const forms = '192.0.2.1:7000, [2001:db8::1]:7000, host.example:7000, unix:/path or unixa:name'
  const name = `must have a host name of letters, digits, hyphens and dots: ${forms}`
  test.each([
    ['192.0.2.1', `must have a port: ${forms}`],
    ['', `must have a port: ${forms}`],
    [':7000', `must name a host: ${forms}`],
    ['*:7000', `must name a host: ${forms}`],
    ['192.0.2.1:0', 'must have a port from 1 to 65535'],
    ['192.0.2.1:65536', 'must have a port from 1 to 65535'],
    ['192.0.2.1:', 'must have a port from 1 to 65535'],
    ['192.0.2.1:http', 'must have a port from 1 to 65535'],
    ['192.0.2.1:-1', 'must have a port from 1 to 65535'],
    ['192.0.2.1: 1', 'must have a port from 1 to 65535'],
    ['192.0.2.1:1e3', 'must have a port from 1 to 65535'],
    ['[2001:db8::1]:0', 'must have a port from 1 to 65535'],
    ['[2001:db8::1]', 'must have an IPv6 address in brackets and a port behind it, such as [2001:db8::1]:7000'],
    ['2001:db8::1', 'must have an IPv6 address in brackets and a port behind it, such as [2001:db8::1]:7000'],
    ['2001:db8::1:7000', 'must have an IPv6 address in brackets and a port behind it, such as [2001:db8::1]:7000'],
    ['[192.0.2.1]:7000', 'must have an IPv6 address between the brackets'],
    ['[]:7000', 'must have an IPv6 address between the brackets'],
    [
      '[2001:db8::1%eth0]:7000',
      'must be without a zone (%): only link-local addresses (fe80::/10) are meant on one interface',
    ],
    ['[fe80::1%a/b]:7000', 'must have the name of an interface behind the %'],
    ['[fe80::1%sixteen-letters-]:7000', 'must have the name of an interface behind the %'],
    ['0x7f.1:7000', 'must have four numbers from 0 to 255 as IPv4 address'],
    ['127.0x1:7000', 'must have four numbers from 0 to 255 as IPv4 address'],
    ['/run/zt.sock', 'must be a Unix socket as unix:/run/zt.sock, if that is what is meant'],
    ['300.0.0.1:7000', 'must have four numbers from 0 to 255 as IPv4 address'],
    ['192.0.2:7000', 'must have four numbers from 0 to 255 as IPv4 address'],
    ['a..example:1', name],
    ['a b.example:1', name],
    ['socks5://a.example:1', `must be an address, not a URL: ${forms}`],
    ['user@a.example:1', name],
    [`${'a'.repeat(64)}.example:1`, name],
    ['unix:', 'must have a path of 1 to 107 bytes without NUL behind unix: (0 bytes)'],
    ['unix:/a\u0000b', 'must have a path of 1 to 107 bytes without NUL behind unix: (4 bytes)'],
    ['unixa:', 'must have a name of 1 to 107 bytes without NUL behind unixa: (0 bytes)'],
  ])('%j is refused', (connect, sentence) => {
    expect(refusals({ connect })).toEqual([`connect ${sentence}, got ${JSON.stringify(redact(connect))} (string)`])
  })

  test.each(['unix', 'unixa'])('%s: takes 107 bytes and no more', (scheme) => {
    expect(refusals({ bind: `${scheme}:/${'ü'.repeat(53)}` })).toEqual([])
    expect(refusals({ bind: `${scheme}:/${'ü'.repeat(53)}x` })).toEqual([
      expect.stringContaining('1 to 107 bytes without NUL behind'),
    ])
  })

  test('a name has at most 253 characters', () => {
    const label = 'a'.repeat(61)
    const longest = `${label}.${label}.${label}.${label}.abcde`
    expect(longest).toHaveLength(253)
    expect(refusals({ connect: `${longest}:1` })).toEqual([])
    expect(refusals({ connect: `${longest}f:1` })).toHaveLength(1)
  })

  test('only what listens may leave the port or the address to others', () => {
    expect(refusals({ bind: '192.0.2.1:0' })).toEqual([])
    expect(refusals({ bind: '*:7000' })).toEqual([
      'bind must name an address: 0.0.0.0:PORT or [::]:PORT listens on all of them, got "*:7000" (string)',
    ])
  })

  test('an international name goes out in ASCII', () => {
    expect(parseOptions({ connect: 'bücher.example:1' })).toMatchObject({ connect: { host: 'xn--bcher-kva.example' } })
  })

  test('a long value is cut in the message', () => {
    const [sentence = ''] = refusals({ connect: 'x'.repeat(10_000) })
    expect(sentence.length).toBeLessThan(400)
    expect(sentence).toContain('x…" (string)')
  })
})

describe('options that depend on each other', () => {
  test('one of bind and connect', () => {
    expect(refusals({})).toEqual(['exactly one of `bind` (to listen) and `connect` (to dial) is needed, got neither'])
    expect(refusals({ bind: '192.0.2.1:1', connect: 'unix:/x' })).toEqual([
      'exactly one of `bind` (to listen) and `connect` (to dial) is accepted, ' +
        'got `bind` "192.0.2.1:1" (string) and `connect` "unix:/x" (string)',
    ])
  })

  test('what belongs to dialling does not go with bind', () => {
    expect(refusals({ ...server, proxies: ['192.0.2.1:1080'] })).toEqual([
      'proxies must go with `connect`, never with `bind`, got an array of 1',
    ])
    expect(refusals({ ...server, once: true })).toEqual([
      'once must go with `connect`, never with `bind`, got true (boolean)',
    ])
    expect(refusals({ ...server, dialTimeoutMs: 1 })).toEqual([
      'dialTimeoutMs must go with `connect`, never with `bind`, got 1 (number)',
    ])
    expect(refusals({ connect: '192.0.2.1:7000', allow: ['192.0.2.0/24'] })).toEqual([
      'allow must go with `bind`, never with `connect`, got an array of 1',
    ])
    expect(refusals({ bind: 'unix:/x', allow: ['192.0.2.0/24'] })).toEqual([
      'allow must go with a TCP address to listen on: nobody comes to a Unix socket from a network, got "unix:/x" (string)',
    ])
    expect(refusals({ bind: 'unix:/x', allow: [] })).toEqual([])
    expect(refusals({ ...server, proxies: [] })).toEqual([])
  })

  test('a Unix socket can only be the first hop', () => {
    expect(refusalsOf({ proxies: ['unixa:a', '192.0.2.1:1080', 'unixa:b'] })).toEqual([
      'proxies[2] must be a TCP address behind a proxy: none can name a Unix socket, got "socks5+unixa:b" (string)',
    ])
    expect(refusals({ connect: 'unix:/x', proxies: ['192.0.2.1:1080'] })).toEqual([
      'connect must be a TCP address behind a proxy: none can name a Unix socket, got "unix:/x" (string)',
    ])
    expect(refusals({ connect: 'unix:/x', proxies: [] })).toEqual([])
  })

  test('a zone means something on this machine only', () => {
    const zoned = '[FE80::1%eth0]:7000'
    expect(parseOptions({ connect: zoned })).toMatchObject({ connect: { kind: 'tcp6', host: 'fe80::1%eth0' } })
    expect(refusals({ connect: '192.0.2.1:1', proxies: [zoned] })).toEqual([])
    expect(refusals({ connect: zoned, proxies: ['192.0.2.1:1'] })).toEqual([
      'connect must be a TCP address behind a proxy: the zone names an interface of this machine, ' +
        'got "[fe80::1%eth0]:7000" (string)',
    ])
  })

  test('a chain has at most 16 proxies', () => {
    expect(refusalsOf({ proxies: Array(16).fill('192.0.2.1:1') })).toEqual([])
    expect(refusalsOf({ proxies: Array(17).fill('192.0.2.1:1') })).toEqual([
      'proxies must have at most 16 proxies, got an array of 17',
    ])
  })
})

describe('the rest', () => {
  test.each([
    ['10.0.0.0', 'must end in a prefix length, such as 10.0.0.0/24'],
    ['10.0.0.0/33', 'must have a prefix length from 0 to 32'],
    ['ten/8', 'must be a network with its prefix length'],
    ['10.1.2.3/8', 'must not have bits behind its prefix: the network is 10.0.0.0/8'],
    ['128.0.0.0/0', 'must not have bits behind its prefix: the network is 0.0.0.0/0'],
    ['fd00::1/64', 'must not have bits behind its prefix: the network is fd00::/64'],
    ['224.0.0.0/4', 'must not be a multicast network'],
    ['ff00::/8', 'must not be a multicast network'],
  ])('the route %j is refused', (route, message) => {
    const [refusal] = refusals({ ...server, routes: [route] })
    expect(refusal).toContain(`routes[0] ${message}`)
    expect(refusal).toContain(JSON.stringify(route))
  })

  test('routes that do not go together', () => {
    expect(refusals({ ...server, routes: ['10.0.0.0/8', '10.0.0.0/8'] })).toEqual([
      'routes[1] must not repeat 10.0.0.0/8, got "10.0.0.0/8" (string)',
    ])
    expect(refusals({ ...server, mtu: 1279, routes: ['::/0'] })).toEqual([
      'mtu must be at least 1280 because ::/0 is IPv6, got 1279 (number)',
    ])
  })

  test.each([
    [{ up: '' }, 'hooks.up must be a shell command, got "" (string)'],
    [{ down: 7 }, 'hooks.down must be a shell command as a string, got 7 (number)'],
    [{ timeoutMs: 0 }, 'hooks.timeoutMs must be an integer from 1 to 3600000 (milliseconds), got 0 (number)'],
    [{ required: 'yes' }, 'hooks.required must be true or false, got "yes" (string)'],
    ['echo', 'hooks must be an object of up, down, reconnect, timeoutMs and required, got "echo" (string)'],
  ])('hooks of %j are refused', (hooks, message) => {
    expect(refusals({ ...server, hooks })).toEqual([message])
  })

  test.each([0, -1, 0.5, 3_600_001, Infinity, '5'])('a dial timeout of %j is refused', (dialTimeoutMs) => {
    expect(refusalsOf({ dialTimeoutMs })).toEqual([
      expect.stringContaining('dialTimeoutMs must be an integer from 1 to 3600000 (milliseconds), got '),
    ])
  })

  test('control', () => {
    for (const control of [true, false, '/run/x.sock', './x', '../x', 'a/b']) {
      expect(parseOptions({ ...server, control }).control).toBe(control)
    }
    for (const control of ['word', '', '/folder/', 'a\0/b', 1, null]) {
      expect(refusalsOf({ control })).toEqual([expect.stringMatching(/must be true .*the path of a socket/)])
    }
  })

  test('metrics, for this machine only', () => {
    expect(parseOptions({ ...server, metrics: '127.0.0.1:9100' }).metrics).toEqual({ host: '127.0.0.1', port: 9100 })
    expect(parseOptions({ ...server, metrics: '[::1]:0' }).metrics).toEqual({ host: '::1', port: 0 })
    for (const metrics of [
      '0.0.0.0:9100',
      '[::]:9100',
      '192.0.2.1:9100',
      'localhost:9100',
      'unix:/x',
      '9100',
      '127.0.0.1',
    ]) {
      expect(refusalsOf({ metrics })).toEqual([expect.stringContaining(JSON.stringify(metrics))])
    }
  })

  test('congestion', () => {
    expect(parseOptions({ ...server, congestion: 'cubic' }).congestion).toBe('cubic')
    for (const wrong of ['', 'a b', 'sixteen-bytes-xx', 'b/b']) {
      expect(refusalsOf({ congestion: wrong })).toEqual([expect.stringContaining(JSON.stringify(wrong))])
    }
  })

  test('offload and signal', () => {
    expect(refusalsOf({ offload: 'no' })).toEqual(['offload must be true or false, got "no" (string)'])
    expect(refusalsOf({ signal: {} })).toEqual(['signal must be an AbortSignal, got an object'])
  })

  test('an option that does not exist is refused', () => {
    expect(refusalsOf({ adresses: [] })).toEqual(['there is no option "adresses"'])
    expect(refusalsOf({ toString: 1 })).toEqual(['there is no option "toString"'])
  })

  test.each([[undefined], [null], ['zt0'], [[]], [7]])('options have to be an object, not %j', (options) => {
    expect(refusals(options)).toEqual([expect.stringMatching(/^options must be an object, got /)])
  })

  test('everything that is wrong is told at once, in the message as in the list', () => {
    const wrong = { name: 'a b', mtu: 1, addresses: ['x', '10.0.0.1/99'], proxies: [1], bind: '1', connect: '2' }
    expect(refusals(wrong).map((sentence) => sentence.split(' ')[0])).toEqual([
      'name',
      'mtu',
      'addresses[0]',
      'addresses[1]',
      'proxies[0]',
      'bind',
      'connect',
      'exactly',
    ])
    expect(() => parseOptions(wrong)).toThrow(/^name must .*; mtu must .*; addresses\[0\] must .*; exactly one of/)
  })
})

describe('allow', () => {
  test('networks and single addresses are accepted', () => {
    expect(parseOptions({ ...server, allow: ['192.0.2.0/24', '2001:DB8::1', '0.0.0.0/0'] })).toMatchObject({
      allow: [
        { address: '192.0.2.0', prefixBits: 24 },
        { address: '2001:db8::1', prefixBits: 128 },
        { address: '0.0.0.0', prefixBits: 0 },
      ],
    })
  })

  test.each(['', 'x', '192.0.2.0/33', '192.0.2.0/', '2001:db8::/129', 'fe80::1%eth0', '192.0.2.0/24/8'])(
    '%j is no network',
    (network) => {
      expect(() => parseOptions({ ...server, allow: [network] })).toThrow(/^allow\[0\] must /)
    },
  )
})

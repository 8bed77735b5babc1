import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { describe, expect, test } from 'vitest'
import { parseInnerAddress } from '../../src/address.js'
import type { InnerAddress } from '../../src/address.js'
import { diagnoseWith } from '../../src/doctor/diagnose.js'
import type { MachineFacts } from '../../src/doctor/facts.js'
import type { Finding } from '../../src/doctor/finding.js'
import { FINDING_IDS } from '../../src/doctor/finding.js'
import * as machine from '../../src/doctor/machine.js'
import * as network from '../../src/doctor/network.js'
import { ZPortalError } from '../../src/errors.js'
import { diagnosisText } from '../../src/face/diagnosis.js'
import type { NativeFailure } from '../../src/native.js'
import { FakeAddon, failure } from './fake-native.js'

const FACTS: MachineFacts = {
  release: '6.18.0',
  netAdmin: true,
  seccomp: false,
  ioUringDisabled: '0',
  memlock: '8388608',
  tunRefusal: undefined,
  congestion: ['reno', 'bbr'],
  ipv6: true,
}

function inner(text: string): InnerAddress {
  const { value } = parseInnerAddress(text)
  if (value === undefined) throw new Error(text)
  return value
}

const outer = (device: string, cidr: string) => ({
  device,
  cidr,
  address: cidr.split('/')[0] ?? '',
  family: cidr.includes(':') ? 'IPv6' : 'IPv4',
})

function statuses(findings: readonly Finding[]): Record<string, string> {
  return Object.fromEntries(findings.map(({ id, status }) => [id, status]))
}

test('the documentation has a row for each id, in the same order', () => {
  const text = readFileSync(new URL('../../docs/DOCTOR.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| `([\w.-]+)` \|/gm)].map(([, id]) => id)
  expect(rows).toEqual(FINDING_IDS)
})

test.each([
  ['6.18.44-fc', 'pass'],
  ['5.11.0', 'pass'],
  ['5.10.200-1-amd64', 'fail'],
  ['4.19', 'fail'],
  ['nonsense', 'fail'],
])('kernel %s: %s', (release, status) => {
  expect(machine.judgeKernel({ release }).status).toBe(status)
})

describe('io_uring', () => {
  const refused = (errno: number): { failure: NativeFailure } => ({ failure: { ...failure('ZP_IO_URING'), errno } })
  const { EPERM, ENOSYS, ENOMEM } = constants.errno

  test.each<[string, Partial<MachineFacts>, number, RegExp, RegExp]>([
    ['the sysctl', { ioUringDisabled: '2' }, EPERM, /sysctl kernel\.io_uring_disabled=2/, /sysctl -w/],
    ['the sysctl, whatever filter there is', { ioUringDisabled: '1', seccomp: true }, EPERM, /sysctl/, /sysctl -w/],
    ['a filter', { seccomp: true }, EPERM, /seccomp/, /io_uring_setup/],
    ['a filter on an old kernel', { seccomp: true, ioUringDisabled: undefined }, EPERM, /seccomp/, /io_uring_setup/],
    ['neither', {}, EPERM, /security module/, /SELinux/],
    ['a filter that hides it', { seccomp: true }, ENOSYS, /seccomp/, /io_uring_setup/],
    ['a kernel without it', {}, ENOSYS, /built without/, /CONFIG_IO_URING/],
    ['the limit', { memlock: '65536' }, ENOMEM, /65536 bytes/, /ulimit -l/],
    ['something new', {}, 999, /ZP_IO_URING happened/, /docs\/ERRORS\.md/],
  ])('%s is named', (_name, facts, errno, message, cure) => {
    const finding = machine.judgeRing({ ...FACTS, ...facts }, refused(errno))
    expect(finding).toMatchObject({ status: 'fail', code: 'ZP_IO_URING' })
    expect(finding.message).toMatch(message)
    expect(finding.cure).toMatch(cure)
  })

  test('works; and where only the privileged may, it says so', () => {
    expect(machine.judgeRing(FACTS, {}).status).toBe('pass')
    expect(machine.judgeRing({ ...FACTS, ioUringDisabled: '1' }, {}).status).toBe('warn')
  })
})

describe('the device', () => {
  const ALL = ['VNET', 'TSO4', 'TSO6', 'USO4', 'USO6']

  test.each([
    [ALL, true, 'pass'],
    [['VNET', 'TSO4', 'TSO6'], true, 'warn'],
    [['VNET'], true, 'warn'],
    [[], true, 'warn'],
    [[], false, 'pass'],
  ])('offloads %j, wanted %s: %s', (offloads, wanted, status) => {
    expect(statuses(machine.judgeDevice({ offloads }, FACTS, wanted))).toEqual({
      'tun.create': 'pass',
      'tun.offloads': status,
    })
  })

  test('a missing capability and a missing file are each told once', () => {
    const refused = { failure: failure('ZP_TUN_PERMISSION') }
    expect(machine.judgeCapability({ netAdmin: false }).status).toBe('fail')
    expect(machine.judgeDevice(refused, { ...FACTS, netAdmin: false }, true)).toEqual([])
    expect(machine.judgeDevice(refused, { ...FACTS, tunRefusal: 'ENOENT' }, true)).toEqual([])
    expect(machine.judgeDevice(refused, FACTS, true)[0]?.cure).toContain('network namespace')
  })

  test.each([
    [undefined, 'pass', undefined],
    ['ENOENT', 'fail', 'ZP_TUN_MISSING'],
    ['ENODEV', 'fail', 'ZP_TUN_MISSING'],
    ['EACCES', 'fail', 'ZP_TUN_PERMISSION'],
    ['EPERM', 'fail', 'ZP_TUN_PERMISSION'],
  ])('/dev/net/tun %s: %s', (tunRefusal, status, code) => {
    const finding = machine.judgeTunFile({ tunRefusal })
    expect(finding.status).toBe(status)
    expect(finding.code).toBe(code)
  })

  test('a name is judged only by an answer about the name', () => {
    expect(statuses(machine.judgeName('zt0', {}))).toEqual({ 'device.name': 'pass' })
    expect(statuses(machine.judgeName('zt0', { failure: failure('ZP_TUN_NAME_TAKEN') }))).toEqual({
      'device.name': 'fail',
    })
    expect(machine.judgeName('zt0', { failure: failure('ZP_TUN_PERMISSION') })).toEqual([])
  })
})

test.each([
  [{ loaded: true, loadable: false, errno: undefined }, 'pass', /can use bbr/],
  [{ loaded: false, loadable: true, errno: undefined }, 'pass', /loads bbr/],
  [{ loaded: false, loadable: false, errno: undefined }, 'warn', /no congestion control bbr/],
  [{ loaded: true, loadable: false, errno: constants.errno.EPERM }, 'warn', /reserved/],
  [{ loaded: true, loadable: false, errno: constants.errno.ENOENT }, 'warn', /refuses/],
] as const)('congestion control %j: %s', (facts, status, message) => {
  const finding = machine.judgeCongestion({ name: 'bbr', ...facts })
  expect(finding.status).toBe(status)
  expect(finding.message).toMatch(message)
})

describe('addresses', () => {
  const here = { name: 'zt0', ipv6: true }

  test.each([
    ['10.10.0.1/24', [outer('eth0', '192.0.2.1/24')], ['pass']],
    ['10.10.0.1/24', [outer('eth0', '10.10.0.1/16')], ['fail']],
    ['10.10.0.1/24', [outer('eth0', '10.10.0.7/24')], ['warn']],
    ['10.10.0.1/24', [outer('eth0', '10.10.0.7/16')], ['pass']],
    ['10.10.0.1/24', [outer('zt0', '10.10.0.1/24')], ['pass']],
    ['fd00::1/64', [outer('eth0', 'fd00::1/64')], ['fail']],
    ['fd00::1/64', [outer('eth0', '10.10.0.1/24')], ['pass']],
  ])('%s beside %j: %j', (address, others, wanted) => {
    const findings = network.judgeAddresses([inner(address)], others, here)
    expect(findings.map(({ status }) => status)).toEqual(wanted)
  })

  test('IPv6 where it is disabled', () => {
    const findings = network.judgeAddresses([inner('fd00::1/64'), inner('10.10.0.1/24')], [], { ...here, ipv6: false })
    expect(findings).toMatchObject([{ status: 'fail', code: 'ZP_TUN_CONFIGURE' }])
  })

  test.each([
    ['10.10.0.9', [], 'fail'],
    ['192.0.2.9', [], undefined],
    ['10.10.0.9', [outer('eth0', '10.10.0.8/29')], undefined],
    ['10.10.0.9', [outer('eth0', '10.10.0.8/16')], 'fail'],
    ['fd00::9', [], 'fail'],
    ['2001:db8::9', [], undefined],
  ])('a first hop at %s beside %j: %s', (hop, others, status) => {
    const findings = network.judgeOverlap('the hop', [hop], [inner('10.10.0.1/24'), inner('fd00::1/64')], others)
    expect(findings[0]?.status).toBe(status)
  })
})

describe('the way', () => {
  const hop = { address: '192.0.2.1:7000', ms: 1.234 }

  test.each([
    [
      { answer: 'hello', version: 1, sharesAddress: false, busy: false },
      { peer: 'pass', 'peer.mtu': 'pass' },
    ],
    [{ answer: 'hello', version: 1, sharesAddress: false, busy: true }, { peer: 'warn' }],
    [{ answer: 'hello', version: 1, otherMtuBytes: 1500 }, { 'peer.mtu': 'warn' }],
    [{ answer: 'hello', version: 1, sharesAddress: true }, { 'peer.addresses': 'fail' }],
    [{ answer: 'original' }, { peer: 'pass' }],
    [{ answer: 'silent' }, { peer: 'warn' }],
    [{ answer: 'hung-up' }, { peer: 'warn' }],
    [{ answer: 'stranger', failure: failure('ZP_FRAME_MAGIC') }, { peer: 'fail' }],
    [{ failure: failure('ZP_DIAL_REFUSED') }, { peer: 'fail' }],
  ] as const)('a peer with %j', (answer, wanted) => {
    expect(statuses(network.judgeWay([{ ...hop, ...answer }], 0, 1400))).toMatchObject(wanted)
  })

  test('proxies are counted from the nearest, and the first that fails is the last', () => {
    const findings = network.judgeWay(
      [
        { ...hop, answer: 'reached' },
        { ...hop, failure: failure('ZP_PROXY_REFUSED') },
      ],
      2,
      1400,
    )
    expect(statuses(findings)).toEqual({ 'proxy.0': 'pass', 'proxy.1': 'fail' })
    expect(findings[0]).toMatchObject({ ms: 1.2 })
  })

  test('a proxy that turns out to be none is the one that failed', () => {
    const findings = network.judgeWay(
      [
        { ...hop, answer: 'reached' },
        { ...hop, failure: { ...failure('ZP_PROXY_PROTOCOL'), hop: 0 } },
      ],
      1,
      1400,
    )
    expect(statuses(findings)).toEqual({ 'proxy.0': 'fail' })
  })
})

describe('the whole', () => {
  test('what does not pass has a cure, ids are known and in order', async () => {
    const { findings, version } = await diagnoseWith(() => new FakeAddon(), {
      connect: '192.0.2.1:7000',
      proxies: ['192.0.2.8:1080', '192.0.2.9:1080'],
      addresses: ['10.10.0.1/24'],
    })
    expect(version).toBe(1)
    const places = findings.map(({ id }) => FINDING_IDS.findIndex((known) => known === id.replace(/\d+$/, 'N')))
    expect(places).not.toContain(-1)
    expect(places).toEqual([...places].sort((a, b) => a - b))
    for (const { status, cure } of findings) expect(cure === undefined).toBe(status === 'pass')
    expect(statuses(findings)).toMatchObject({ 'proxy.0': 'pass', 'proxy.1': 'pass', peer: 'warn' })
  })

  test('no end: the machine alone', async () => {
    const { findings } = await diagnoseWith(() => new FakeAddon(), {})
    const ids = findings.map(({ id }) => id)
    expect(ids).toContain('tcp.congestion')
    expect(ids).not.toContain('listen.address')
    expect(ids).not.toContain('peer')
  })

  test('an addon that cannot be loaded', async () => {
    const { ok, findings } = await diagnoseWith(() => {
      throw new ZPortalError('ZP_NATIVE', 'not for this machine')
    }, {})
    expect(ok).toBe(false)
    expect(findings).toContainEqual(expect.objectContaining({ id: 'native.addon', status: 'fail', code: 'ZP_NATIVE' }))
  })

  test('options that are wrong are refused as everywhere', async () => {
    await expect(diagnoseWith(() => new FakeAddon(), { mtu: 1 })).rejects.toMatchObject({ code: 'ZP_OPTION' })
    await expect(diagnoseWith(() => new FakeAddon(), { bind: 'unix:/x', connect: 'unix:/y' })).rejects.toMatchObject({
      code: 'ZP_OPTION',
    })
  })

  test('as people read it', () => {
    const findings: Finding[] = [
      { id: 'peer', status: 'pass', message: 'it is there' },
      { id: 'inner.mtu', status: 'fail', message: 'too small', cure: 'a larger one' },
    ]
    expect(diagnosisText({ version: 1, ok: false, findings }, { color: false })).toBe(
      [
        'pass  peer       it is there',
        'fail  inner.mtu  too small',
        '                 cure: a larger one',
        '1 passed, 0 warned, 1 failed',
        '',
      ].join('\n'),
    )
  })
})

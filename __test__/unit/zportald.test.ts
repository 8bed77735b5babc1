import { describe, expect, test } from 'vitest'
import { ZPortalError } from '../../src/errors.js'
import { parseCommandLine } from '../../src/zportald.js'

describe('the command line of the original', () => {
  test('every flag has its meaning', () => {
    const line = '-n zt0 -m 1400 -a 10.0.0.1/24 -a fd00::1/64 -c 192.0.2.1:7000 -p unix:/s -p 192.0.2.2:1080'
    expect(parseCommandLine(line.split(' '))).toEqual({
      kind: 'tunnel',
      options: {
        name: 'zt0',
        mtu: 1400,
        addresses: ['10.0.0.1/24', 'fd00::1/64'],
        connect: '192.0.2.1:7000',
        proxies: ['unix:/s', '192.0.2.2:1080'],
        once: true,
      },
    })
    expect(parseCommandLine(['-b', 'unixa:x'])).toEqual({ kind: 'tunnel', options: { bind: 'unixa:x' } })
  })

  test('a value may stand at its flag, and the last one counts, as getopt has it', () => {
    expect(parseCommandLine(['-nzt0', '-m1500', '-n', 'zt1'])).toEqual({
      kind: 'tunnel',
      options: { name: 'zt1', mtu: 1500 },
    })
  })

  test('what is no number goes on as it was written, to be quoted', () => {
    expect(parseCommandLine(['-m', '0x10'])).toEqual({ kind: 'tunnel', options: { mtu: '0x10' } })
    expect(parseCommandLine(['-m', ''])).toEqual({ kind: 'tunnel', options: { mtu: '' } })
  })

  test('-h and -v win over everything else', () => {
    expect(parseCommandLine(['-v'])).toEqual({ kind: 'version' })
    expect(parseCommandLine(['-n', 'zt0', '-h', '-v'])).toEqual({ kind: 'help' })
  })

  test.each([
    [['-x'], "Unknown option '-x'"],
    [['--name', 'zt0'], "Unknown option '--name'"],
    [['--n', 'zt0'], "Unknown option '--n'"],
    [['-n'], '-n needs a value'],
    [['-n', '-m', '1400'], '-n needs a value'],
    [['zt0'], "Unexpected argument 'zt0'"],
  ])('%j is refused', (args, sentence) => {
    expect(() => parseCommandLine(args)).toThrow(ZPortalError)
    expect(() => parseCommandLine(args)).toThrow(sentence)
  })
})

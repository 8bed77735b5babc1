import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { ZPortalError } from '../../src/errors.js'
import { optionsFrom } from '../../src/config/settings.js'
import { hidePasswords } from '../../src/face/process-title.js'
import { withPasswordsOf } from '../../src/face/proxy-passwords.js'
import { withValues } from '../../src/face/setting-flags.js'
import { toNativeOptions } from '../../src/native.js'
import { parseOptions } from '../../src/options.js'
import { formatProxy, parseProxy, showProxy } from '../../src/proxy.js'
import { redact, redactWords } from '../../src/redact.js'

/** What the core is given for a chain. */
function chain(options: object) {
  const native = toNativeOptions(parseOptions({ connect: 'peer.example:7000', ...options }))
  return native.proxies
}

/** The problems with options, each as one sentence. */
function refusals(options: object): string[] {
  try {
    parseOptions({ connect: 'peer.example:7000', ...options })
  } catch (error) {
    if (!(error instanceof ZPortalError)) throw error
    return error.problems.map(({ option, message }) => `${option} ${message}`.trim())
  }
  return []
}

describe('a proxy', () => {
  test.each([
    ['192.0.2.1:1080', { kind: 'socks5', address: '192.0.2.1:1080' }],
    ['unix:/run/a@b', { kind: 'socks5', address: 'unix:/run/a@b' }],
    ['unixa:a@b', { kind: 'socks5', address: 'unixa:a@b' }],
    // A host may be called http.
    ['http:3128', { kind: 'socks5', address: 'http:3128' }],
    ['socks5://proxy.example:1080', { kind: 'socks5', address: 'proxy.example:1080' }],
    ['SOCKS5H://proxy.example:1080/', { kind: 'socks5', address: 'proxy.example:1080' }],
    ['http://[2001:DB8::1]:3128', { kind: 'http', address: '[2001:db8::1]:3128' }],
    ['http://a:b@h:1', { kind: 'http', address: 'h:1', user: 'a', password: 'b' }],
    ['socks5://a%40b:p%3Aw%2F%C3%BC:x@h:1', { kind: 'socks5', address: 'h:1', user: 'a@b', password: 'p:w/ü:x' }],
    ['socks5://a:p@ss@h:1', { kind: 'socks5', address: 'h:1', user: 'a', password: 'p@ss' }],
    ['socks5://token:@h:1', { kind: 'socks5', address: 'h:1', user: 'token', password: '' }],
    ['socks5+unix:/run/socks', { kind: 'socks5', address: 'unix:/run/socks' }],
    ['socks5+unix:relative%20as@is', { kind: 'socks5', address: 'unix:relative%20as@is' }],
    ['http+unix:///run/proxy', { kind: 'http', address: 'unix:/run/proxy' }],
    ['http+unix://a:b@/run/p@th', { kind: 'http', address: 'unix:/run/p@th', user: 'a', password: 'b' }],
    ['socks5+unixa:n@me', { kind: 'socks5', address: 'unixa:n@me' }],
    ['socks5+unixa://a:b@name', { kind: 'socks5', address: 'unixa:name', user: 'a', password: 'b' }],
  ])('%j', (text, native) => {
    expect(chain({ proxies: [text] })).toEqual([native])
    const { value } = parseProxy(text)
    expect(value && parseProxy(formatProxy(value)).value).toEqual({ kind: value?.kind, address: value?.address })
  })

  test.each([
    ['https://h:1', 'must be without TLS'],
    ['socks4://h:1', 'must be socks5://'],
    ['ftp://u:secret@h:1', 'must be socks5://'],
    ['u:secret@h:1', 'must be a URL if it has a user'],
    ['http://h', 'must have a port'],
    ['http://u:secret@h:1/path', 'must have nothing behind the port'],
    ['socks5://u:secret/x@h:1', 'must have %, /, ? and # in user and password percent-encoded'],
    ['socks5://u:secret%zz@h:1', 'must have %, /, ? and # in user and password percent-encoded'],
    ['socks5://u:secret%ff@h:1', 'must have %, /, ? and # in user and password percent-encoded'],
    ['socks5://:secret@h:1', 'must have a user before the @'],
    ['socks5:///run/socks', 'must name a Unix socket as socks5+unix:/path'],
    ['socks5://u:secret@unix:/run/socks', 'must'],
    ['socks5+unix://u:secret@run', 'must have a path from the root'],
    ['http+unix:', 'must have a path of 1 to 107 bytes'],
    [`socks5://u:${'secret'.repeat(50)}@h:1`, 'must have a user and a password of at most 255 bytes each'],
    [`http://u:${'secret'.repeat(700)}@h:1`, 'must have a user and a password of at most 4096 bytes together'],
    ['http://u%3A:secret@h:1', 'must have a user without colon'],
    ['http://u:secret%0d%0aEvil:@h:1', 'must have a user and a password without control characters'],
  ])('%j is refused, without showing a password', (text, sentence) => {
    const [refusal = '', ...others] = refusals({ proxies: ['192.0.2.1:1', text] })
    expect(others).toEqual([])
    expect(refusal.startsWith(`proxies[1] ${sentence}`), refusal).toBe(true)
    expect(refusal).not.toContain('secret')
    expect(refusals({ connect: text }).join()).not.toContain('secret')
  })

  test('shows neither user nor password, however it is printed', () => {
    const written = 'socks5://alice:sesame@h:1'
    expect(showProxy(written)).toBe('socks5://h:1')
    expect(showProxy('unixa:a@b')).toBe('socks5+unixa:a@b')
    expect(showProxy('alice:sesame@nonsense')).toBe('***@nonsense')
    const options = parseOptions({ connect: 'h:2', proxies: [written], tor: true })
    const [{ login } = {}] = options.role === 'client' ? options.proxies : []
    for (const print of [
      inspect(options, { depth: 9, showHidden: true }),
      JSON.stringify(options),
      String(login?.password),
    ]) {
      expect(print).toContain('***')
      expect(print).not.toMatch(/alice|sesame/)
    }
    expect(login?.password?.reveal()).toBe('sesame')
  })

  test('sentences and command lines are redacted word by word', () => {
    expect(redact('socks5+unix://a:b c@/run')).toBe('socks5+unix://***@/run')
    expect(redactWords('up -c h:1 -p http://a:b@h:1 a:b@h unix:/a@b')).toBe(
      'up -c h:1 -p http://***@h:1 ***@h unix:/a@b',
    )
    const process = { argv: ['node', 'zportal', 'up', '-p', 'http://a:b@h:1'], title: 'unset' }
    hidePasswords(process)
    expect(process.title).toBe('node zportal up -p http://***@h:1')
    const harmless = { argv: ['node', 'zportal', 'up', '-b', 'unix:/a@b'], title: 'unset' }
    hidePasswords(harmless)
    expect(harmless.title).toBe('unset')
  })
})

describe('passwords beside the URLs', () => {
  const directory = mkdtempSync(join(tmpdir(), 'zportal-unit-'))
  afterAll(() => {
    rmSync(directory, { recursive: true })
  })
  const file = (text: string) => {
    const path = join(directory, 'passwords')
    writeFileSync(path, text)
    return path
  }
  const proxies = ['socks5://a@h:1', 'http://b:given@h:2', 'h:3', 'http://c@h:4']
  const filled = [
    { kind: 'socks5', address: 'h:1', user: 'a', password: 'first' },
    { kind: 'http', address: 'h:2', user: 'b', password: 'given' },
    { kind: 'socks5', address: 'h:3' },
    { kind: 'http', address: 'h:4', user: 'c', password: 'second one' },
  ]

  test('come from a file, a list or the environment, one for each proxy that lacks it', () => {
    for (const text of ['first\nsecond one\n', 'first\r\nsecond one']) {
      expect(chain({ proxies, proxyPasswordFile: file(text) })).toEqual(filled)
      const env = { ZPORTAL_PROXY_PASSWORD: text }
      expect(chain(withPasswordsOf(env, { proxies }))).toEqual(filled)
    }
    expect(chain({ proxies, proxyPasswords: ['first', 'second one'] })).toEqual(filled)
    // A file wins over the environment, which may be set for others.
    const env = { ZPORTAL_PROXY_PASSWORD: 'others' }
    const withFile = { proxies, proxyPasswordFile: file('first\nsecond one') }
    expect(chain(withPasswordsOf(env, withFile))).toEqual(filled)
    expect(chain(withPasswordsOf(env, { proxies: ['h:1'] }))).toEqual([{ kind: 'socks5', address: 'h:1' }])
  })

  test('too few, too many, unreadable or impossible ones are refused', () => {
    expect(refusals({ proxies })).toEqual([
      expect.stringMatching(/^proxies\[0\] must have a password for the user in socks5:\/\/h:1: .*`proxyPasswordFile`/),
      expect.stringMatching(/^proxies\[3\] must have a password for the user in http:\/\/h:4: /),
    ])
    expect(refusals({ proxies, proxyPasswordFile: file('secret\n') })).toEqual([
      'proxyPasswordFile must have a password for http://h:4, whose URL names a user without one',
    ])
    expect(refusals({ proxies, proxyPasswords: ['secret', 'secret', 'secret'] })).toEqual([
      'proxyPasswords must not be more than the 2 proxies whose URLs name a user without a password',
    ])
    expect(refusals({ proxyPasswordFile: join(directory, 'none') })).toEqual([
      expect.stringMatching(/^proxyPasswordFile must be a file .*\(ENOENT\), got /),
    ])
    expect(refusals({ proxies, proxyPasswords: ['secret\n', 'secret\n'] })).toEqual([
      'proxyPasswords must have a user and a password without control characters',
    ])
    expect(refusals({ proxies, proxyPasswords: 'secret' })[0]).toBe(
      'proxyPasswords must be an array of passwords, each a string',
    )
    expect(refusals({ proxies, proxyPasswords: [1, 'secret'] }).join()).not.toContain('secret')
    expect(refusals({ proxies, proxyPasswords: ['a', 'b'], proxyPasswordFile: file('a\nb\n') })).toEqual([
      'proxyPasswordFile must not go with `proxyPasswords`: one of them gives the passwords',
    ])
  })
})

describe('Tor', () => {
  test('is the last hop, with credentials that only this tunnel has', () => {
    const options = { connect: 'example.onion:7000', proxies: ['http://h:1'], tor: true }
    const [first, tor, ...more] = chain(options)
    expect(first).toEqual({ kind: 'http', address: 'h:1' })
    expect(more).toEqual([])
    expect(tor).toMatchObject({ kind: 'tor', address: '127.0.0.1:9050', user: 'zportal' })
    expect(tor?.password).toMatch(/^[0-9a-f]{32}$/)
    expect(chain(options)[1]?.password).not.toBe(tor?.password)
    // The core makes new ones at each dial.
    expect(chain({ ...options, torNewCircuit: true })[1]).toEqual({ kind: 'tor', address: '127.0.0.1:9050' })
    expect(chain({ tor: 'unix:/run/tor/socks' })[0]).toMatchObject({ kind: 'tor', address: 'unix:/run/tor/socks' })
    expect(chain({ tor: false })).toEqual([])
  })

  test('gets more time', () => {
    const timeout = (options: object) => toNativeOptions(parseOptions({ connect: 'h:1', ...options })).dialTimeoutMs
    expect(timeout({})).toBe(15_000)
    expect(timeout({ tor: true })).toBe(60_000)
    expect(timeout({ tor: true, dialTimeoutMs: 7 })).toBe(7)
  })

  test('what does not go with it is refused', () => {
    expect(refusals({ tor: 'x' })).toEqual([expect.stringMatching(/^tor must have a port: .*got "x" \(string\)/)])
    expect(refusals({ tor: 9050 })).toEqual([expect.stringMatching(/^tor must be an address/)])
    expect(refusals({ torNewCircuit: true })).toEqual(['torNewCircuit must go with `tor`'])
    expect(refusals({ tor: 'unix:/run/tor/socks', proxies: ['h:1'] })).toEqual([
      expect.stringMatching(/^tor must be a TCP address behind a proxy: none can name a Unix socket/),
    ])
    for (const connect of ['example.onion:1', 'EXAMPLE.ONION.:1']) {
      expect(refusals({ connect })).toEqual([expect.stringMatching(/^connect must be reached through Tor.*add `tor`/)])
      expect(refusals({ connect, proxies: ['127.0.0.1:9050'] })).toEqual([])
    }
    expect(refusals({ proxies: ['http://example.onion:1'] })).toEqual([
      expect.stringMatching(/^proxies\[0\] must be reached through Tor/),
    ])
    expect(refusals({ connect: undefined, bind: 'h:1', tor: true, soMark: 1 })).toEqual([
      'tor must go with `connect`, never with `bind`, got true (boolean)',
    ])
  })

  test('--tor alone means its usual address', () => {
    expect(withValues(['up', '--tor', '-c', 'h:1', '--tor=h:2'])).toEqual([
      'up',
      '--tor=true',
      '-c',
      'h:1',
      '--tor=h:2',
    ])
    expect(optionsFrom({ tor: 'true' })).toEqual({ tor: true })
    expect(optionsFrom({ tor: 'false' })).toEqual({ tor: false })
    expect(optionsFrom({ tor: 'h:2' })).toEqual({ tor: 'h:2' })
  })
})

describe('the firewall mark', () => {
  test.each([1, 0x1f, 0xffff_ffff])('%d', (soMark) => {
    expect(toNativeOptions(parseOptions({ bind: 'h:1', soMark })).soMark).toBe(soMark)
    expect(optionsFrom({ 'so-mark': `0x${soMark.toString(16)}` })['soMark']).toBe(soMark)
    expect(optionsFrom({ 'so-mark': String(soMark) })['soMark']).toBe(soMark)
  })

  test.each([0, -1, 1.5, 2 ** 32, '1f', '0x100000000'])('%j is refused', (soMark) => {
    expect(refusals(optionsFrom({ 'so-mark': soMark }))).toEqual([
      expect.stringMatching(/^soMark must be an integer from 1 to 4294967295 \(a firewall mark\), got /),
    ])
  })
})

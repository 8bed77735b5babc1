import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import Up from '../../src/commands/up.js'
import { pathOf, readConfig } from '../../src/config/file.js'
import { nearest } from '../../src/config/nearest.js'
import { shown, toToml } from '../../src/config/render.js'
import { request } from '../../src/config/request.js'
import { jsonSchema } from '../../src/config/schema.js'
import { optionsFrom, SETTINGS } from '../../src/config/settings.js'
import { parseToml, TomlError } from '../../src/config/toml.js'
import { ZPortalError } from '../../src/errors.js'
import { failureLines } from '../../src/face/failure.js'
import { parseOptions } from '../../src/options.js'
import { withoutPasswords } from '../../src/redact.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zportal-config-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function write(text: string, name = 'lab.toml'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** What a command would print for this file, with the folder's name left out. */
async function refusal(text: string, flags = {}, env = {}): Promise<string> {
  const file = write(text)
  let nameOf = (option: string) => option
  try {
    const asked = await request(flags, { file }, env)
    nameOf = asked.nameOf as typeof nameOf
    parseOptions(asked.options)
    return ''
  } catch (error) {
    expect(error).toBeInstanceOf(ZPortalError)
    return failureLines(error as ZPortalError, nameOf).replaceAll(`${folder}/`, '')
  }
}

describe('settings', () => {
  test('every flag of up is a key of config files, but the one that names the file', () => {
    const flags = Object.keys(Up.flags).filter((flag) => flag !== 'file')
    expect(flags).toEqual(Object.keys(SETTINGS))
  })

  test('every option that people can write has a setting, and only one', () => {
    const options = Object.values(SETTINGS).map(({ option }) => option)
    expect(new Set(options).size).toBe(options.length)
    // Each is known behind the door, where an unknown one would be named.
    for (const option of options.filter((option) => option !== 'logLevel')) {
      const error: unknown = (() => {
        try {
          const [outer = option, inner] = option.split('.')
          const wrong = Symbol('wrong')
          return parseOptions({ [outer]: inner === undefined ? wrong : { [inner]: wrong } })
        } catch (error) {
          return error
        }
      })()
      expect(String(error)).toContain(`${option} must be`)
    }
  })

  test('numbers are read, and what is none stays to be refused', () => {
    const seconds = (text: unknown) => optionsFrom({ 'dial-timeout': text })['dialTimeoutMs']
    expect(['15', '0.5', '4.35', 'x', '-1', '1e3', 2, 0.25].map(seconds)).toEqual([
      ...[15_000, 500, 4350, 'x', '-1', '1e3', 2000, 250],
    ])
    expect(optionsFrom({ mtu: '1400', address: 'a', proxy: ['b'], offload: false })).toEqual({
      mtu: 1400,
      addresses: ['a'],
      proxies: ['b'],
      offload: false,
    })
  })
})

describe('a file', () => {
  test('has the same meaning as the flags', async () => {
    const file = write(
      'mtu = 1300\naddress = ["10.0.0.2/24", "fd00::2/64"]\nconnect = "h:1"\nproxy = "192.0.2.1:1080"\ndial-timeout = 2.5\noffload = false\n',
    )
    const { options } = await request({}, { file }, {})
    expect(options).toEqual({
      name: 'lab',
      mtu: 1300,
      addresses: ['10.0.0.2/24', 'fd00::2/64'],
      connect: 'h:1',
      proxies: ['192.0.2.1:1080'],
      dialTimeoutMs: 2500,
      offload: false,
    })
  })

  test('is overridden by flags, one by one', async () => {
    const file = write('name = "zt0"\nmtu = 1300\nbind = "unix:/a"\noffload = false')
    const { options } = await request({ mtu: '1200', name: undefined, offload: true }, { file }, {})
    expect(options).toEqual({ name: 'zt0', mtu: 1200, bind: 'unix:/a', offload: true })
  })

  test('lies in /etc/zportal when it is only named', async () => {
    expect(pathOf('lab', {})).toBe('/etc/zportal/lab.toml')
    write('bind = "unix:/a"')
    const { options } = await request({}, { config: 'lab' }, { ZPORTAL_CONFIG_DIR: folder })
    expect(options).toEqual({ name: 'lab', bind: 'unix:/a' })
    for (const name of ['../lab', 'a/b', 'lab.toml', '', '.lab', 'a b']) {
      expect(() => pathOf(name, {})).toThrow(/for a path write -f/)
    }
  })

  test('whose name can be no device leaves that to the kernel', async () => {
    const file = write('bind = "unix:/a"', 'a-name-of-seventeen.toml')
    expect((await request({}, { file }, {})).options).toEqual({ bind: 'unix:/a' })
  })
})

describe('what is refused, with its line', () => {
  test.each([
    ['no TOML', 'mtu = \n', 'ZP_CONFIG: lab.toml:2:1: Unspecified values are invalid\n'],
    ['a key twice', 'mtu = 1\nmtu = 2', 'ZP_CONFIG: lab.toml:2:1: Defining a key multiple times is invalid\n'],
    [
      'unknown keys, all at once',
      '\nmtuu = 1300\nadresses = []\n\nproxies = []\nzzz = 1\n[hooks]\nx = 1',
      [
        'ZP_CONFIG: lab.toml:2: there is no setting "mtuu"; did you mean "mtu"?',
        'ZP_CONFIG: lab.toml:3: there is no setting "adresses"; did you mean "address"?',
        'ZP_CONFIG: lab.toml:5: there is no setting "proxies"; did you mean "proxy"?',
        'ZP_CONFIG: lab.toml:6: there is no setting "zzz"; zportal config schema lists them',
        'ZP_CONFIG: lab.toml:7: there is no setting "hooks"; zportal config schema lists them',
        '',
      ].join('\n'),
    ],
    [
      'values of another kind',
      'bind = 7000\nmtu = "1300"\noffload = "yes"\naddress = [\n"a",\n1]\ndial-timeout = "2"',
      [
        'ZP_CONFIG: lab.toml:1: bind must be a string, got 7000 (number)',
        'ZP_CONFIG: lab.toml:2: mtu must be an integer, got "1300" (string)',
        'ZP_CONFIG: lab.toml:3: offload must be true or false, got "yes" (string)',
        'ZP_CONFIG: lab.toml:4: address must be an array of strings, or one string, got an array of 2',
        'ZP_CONFIG: lab.toml:7: dial-timeout must be a number of seconds, got "2" (string)',
        '',
      ],
    ],
    [
      'values that are wrong',
      'mtu = 1\nbind = "unix:/a"\naddress = ["10.0.0.1/24",\n "10.0.0.2/33"]',
      [
        'ZP_OPTION: lab.toml:1: mtu must be an integer from 68 to 65535 (bytes), got 1 (number)',
        'ZP_OPTION: lab.toml:4: address must have a prefix length from 0 to 32, got "10.0.0.2/33" (string)',
        '',
      ],
    ],
    [
      'options that exclude each other',
      'bind = "unix:/a"\nproxy = ["192.0.2.1:1080"]',
      'ZP_OPTION: lab.toml:2: proxy must go with --connect, never with bind (lab.toml:1), got an array of 1\n',
    ],
  ])('%s', async (_, text, lines) => {
    // The settings come in their own order, not in the file's.
    const sorted = (all: string) => all.split('\n').sort()
    expect(sorted(await refusal(text))).toEqual(sorted(Array.isArray(lines) ? lines.join('\n') : lines))
  })

  test('a flag beside a file is called by its flag', async () => {
    expect(await refusal('bind = "unix:/a"', { mtu: '9', connect: 'h:1' })).toBe(
      [
        'ZP_OPTION: --mtu must be an integer from 68 to 65535 (bytes), got 9 (number)',
        'ZP_OPTION: exactly one of bind (lab.toml:1) (to listen) and --connect (to dial) is accepted, got bind (lab.toml:1) "unix:/a" (string) and --connect "h:1" (string)',
        '',
      ].join('\n'),
    )
  })

  test('a file that is not there, or cannot be read', () => {
    expect(() => readConfig(join(folder, 'none.toml'))).toThrow(/there is no config file .*none\.toml/)
    expect(() => readConfig(folder)).toThrow(/cannot be read: EISDIR/)
  })

  test('two files', async () => {
    await expect(request({}, { config: 'lab', file: 'x.toml' }, {})).rejects.toThrow(/either CONFIG or --file/)
  })
})

describe('secrets', () => {
  const resolved = (text: string, env = {}) => readConfig(write(text)).resolved(env)

  test('come from the environment, a file beside the config, or a credential', () => {
    write('p@ss/word:1\nnot this\n', 'password')
    const text =
      'proxy = ["socks5://${env:WHO}:${file:password}@h:1", "socks5://u:${credential:pw}@h:2"]\nname = "${env:WHO}"'
    const env = { WHO: 'me:you', CREDENTIALS_DIRECTORY: folder }
    write('x y', 'pw')
    expect(resolved(text, env)).toEqual({
      proxy: ['socks5://me%3Ayou:p%40ss%2Fword%3A1@h:1', 'socks5://u:x%20y@h:2'],
      name: 'me:you',
    })
  })

  test.each([
    ['${env:NONE}', 'needs the environment variable NONE, which is not set'],
    ['${file:none}', 'needs a secret from a file that cannot be read: ENOENT'],
    ['${file:empty}', 'needs a secret of 1 to 4096 characters on the first line of'],
    ['${credential:x}', 'needs the credential x, and $CREDENTIALS_DIRECTORY is not set'],
    ['${other:x}', 'has ${other:x}: a secret comes from ${env:NAME}, ${file:PATH} or ${credential:NAME}'],
    ['${}', 'has ${}: a secret comes from'],
  ])('%s that leads nowhere', (reference, sentence) => {
    write('\nsecond line', 'empty')
    expect(() => resolved(`mtu = 1300\nproxy = "a://b:${reference}@h"`)).toThrow(`lab.toml:2: proxy ${sentence}`)
  })

  test('are never shown', async () => {
    const text = 'connect = "h:1"\nproxy = ["socks5://me:geheim@h:1", "http://me:${env:PW}@h:2", "a://b:x${env:PW}@h"]'
    const file = readConfig(write(text))
    const toml = toToml(shown(file))
    expect(toml).toContain('["socks5://me:***@h:1", "http://me:${env:PW}@h:2", "a://b:***@h"]')
    expect(toml).not.toContain('geheim')
    expect(await refusal('bind = "socks5://me:geheim@h:1"')).not.toContain('geheim')
    expect(withoutPasswords('see socks5://a:b:c@d@h:1, and h:2')).toBe('see socks5://a:***@h:1, and h:2')
    // The accounts of machines end so, where domains are.
    expect(withoutPasswords('http://svc$:geheim@h:1')).toBe('http://svc$:***@h:1')
    expect(withoutPasswords('http://${env:ME}:${env:PW}@h:1')).toBe('http://${env:ME}:${env:PW}@h:1')
  })

  test('as they are, in a file that others can read, are worth a warning', () => {
    const path = write('connect = "h:1"\nproxy = "socks5://me:geheim@h:1"')
    chmodSync(path, 0o640)
    expect(readConfig(path).warnings()).toEqual([expect.stringMatching(/lab\.toml:2: proxy has a password that other/)])
    chmodSync(path, 0o600)
    expect(readConfig(path).warnings()).toEqual([])
  })
})

describe('what is printed', () => {
  test('a shown file is TOML of the same meaning', async () => {
    const file = write(
      'connect = "h:1"\naddress = "10.0.0.1/24"\ndial-timeout = 2\noffload = false\nname = "q\\"u\\u007f"',
    )
    const printed = toToml(shown(readConfig(file)))
    expect(printed).toContain(`# mtu = 1400 `)
    expect(printed).toMatch(/^connect = "h:1" +# .*lab\.toml:1$/m)
    const again = write(printed, 'again.toml')
    expect((await request({}, { file: again }, {})).options).toEqual((await request({}, { file }, {})).options)
  })

  test('the JSON Schema knows every setting and refuses others', () => {
    const schema = jsonSchema() as { properties: Record<string, unknown>; additionalProperties: unknown }
    expect(Object.keys(schema.properties)).toEqual(Object.keys(SETTINGS))
    expect(schema.additionalProperties).toBe(false)
    expect(schema.properties['mtu']).toMatchObject({ type: 'integer', default: 1400 })
  })
})

describe('the parts', () => {
  test('nearest', () => {
    const known = ['name', 'mtu', 'dial-timeout', 'proxy']
    expect(['nmae', 'MTU', 'mut', 'dial-time', 'x', 'prox', 'completely'].map((word) => nearest(word, known))).toEqual([
      ...['name', 'mtu', 'mtu', 'dial-timeout', undefined, 'proxy', undefined],
    ])
  })

  test('lines of everything in a document', () => {
    const document = parseToml('a.b = 1\nc = [\n1,\n{d = 2}]\n[e]\nf = 1\n[[g]]\n[[g]]\nh = 3')
    expect(document.value).toEqual({ a: { b: 1 }, c: [1, { d: 2 }], e: { f: 1 }, g: [{}, { h: 3 }] })
    const paths = [['a'], ['a', 'b'], ['c'], ['c', 0], ['c', 1, 'd'], ['e'], ['e', 'f'], ['g', 1, 'h'], ['g', 1], ['x']]
    expect(paths.map((path) => document.lineOf(path))).toEqual([1, 1, 2, 3, 4, 5, 6, 9, 8, undefined])
    expect(() => parseToml('x')).toThrow(TomlError)
  })
})

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { load } from '../../src/native.js'

const CURE = /; install zportal again without --omit=optional, or run npm run build in a clone$/

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zportal-native-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Installs zportal as npm would, with what is given beside it, and returns the `require` of its code. */
function installed(files: Readonly<Record<string, string>>): NodeJS.Require {
  for (const [path, content] of Object.entries({ 'zportal/package.json': '{"name":"zportal"}', ...files })) {
    const file = join(folder, 'node_modules', path)
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, content)
  }
  return createRequire(join(folder, 'node_modules', 'zportal', 'dist', 'index.js'))
}

test('the package of the platform', () => {
  const require = installed({ 'zportal-linux-x64-musl/index.js': 'exports.codes = () => ["FROM_PACKAGE"]' })
  expect(load('linux-x64-musl', require).codes()).toEqual(['FROM_PACKAGE'])
})

test('what was built in a clone comes before the package', () => {
  const require = installed({
    'zportal-linux-x64-gnu/index.js': '',
    'zportal/npm/linux-x64-gnu/zportal.linux-x64-gnu.node': 'not an ELF file',
  })
  expect(() => load('linux-x64-gnu', require)).toThrow('zportal.linux-x64-gnu.node')
})

test.each(['darwin-arm64', 'win32-x64', 'linux-riscv64-gnu', 'linux-ia32-musl'])('no %s', (platform) => {
  expect(() => load(platform, installed({}))).toThrow(
    expect.objectContaining({ code: 'ZP_NATIVE', message: expect.stringMatching(`this is ${platform}$`) as string }),
  )
})

test('a package that is not installed', () => {
  expect(() => load('linux-arm64-gnu', installed({}))).toThrow(
    expect.objectContaining({ code: 'ZP_NATIVE', message: expect.stringMatching(CURE) as string }),
  )
  expect(() => load('linux-arm64-gnu', installed({}))).toThrow('zportal-linux-arm64-gnu is not installed')
})

test('a file that the loader refuses: its words are passed on', () => {
  const require = installed({ 'zportal/npm/linux-x64-gnu/zportal.linux-x64-gnu.node': 'not an ELF file' })
  expect(() => load('linux-x64-gnu', require)).toThrow(
    /^cannot load the native part for linux-x64-gnu: Error: .*(ELF|short)/,
  )
  expect(() => load('linux-x64-gnu', require)).toThrow(CURE)
})

test('a C library that is too old: which one it must be', () => {
  const throwing = 'throw new Error("/lib/libc.so.6: version `GLIBC_2.34\' not found (required by /x.node)")'
  const require = installed({ 'zportal-linux-x64-gnu/index.js': throwing })
  expect(() => load('linux-x64-gnu', require)).toThrow(
    'cannot load the native part for linux-x64-gnu: it needs glibc 2.34 or newer; use a newer system, or run npm run build',
  )
})

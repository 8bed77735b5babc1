/*
 * What is published, looked at as a stranger would: every file in the tarballs has its reason here, and the linters of
 * packages have nothing to say. Needs the build, and neither root nor a topology.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { checkAddon, pack, shellManifest } from '../../npm/pack.mjs'
import { addonName, thisPlatform } from '../../npm/platforms.mjs'
import { ROOT } from '../harness/zportal.js'

const TOOL_MS = 60_000
/** Nothing is installed but these two; much more than today's size means that something slipped in. */
const SHELL_MAX_BYTES = 2 * 1024 * 1024
const ADDON_MAX_BYTES = 4 * 1024 * 1024

let folder: string
let shell: string
let platform: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zportal-tarballs-'))
  ;[platform = '', shell = ''] = pack({ out: folder }).tarballs
}, TOOL_MS)
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** The files in a tarball, without the folder that npm puts them into. */
function contents(tarball: string): string[] {
  const listed = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trim().split('\n')
  return listed.map((path) => path.replace(/^package\//, '')).sort()
}

function file(tarball: string, path: string): Buffer {
  return execFileSync('tar', ['xzOf', tarball, `package/${path}`], { maxBuffer: 1 << 26 })
}

/** What a folder of src/ becomes: each file is loaded by its path. */
function entries(name: string): string[] {
  const sources = readdirSync(join(ROOT, 'src', name), { recursive: true, encoding: 'utf8' })
  return sources.filter((source) => source.endsWith('.ts')).map((source) => `${name}/${source.replace(/\.ts$/, '.js')}`)
}

test('every file of the shell is there for a reason', () => {
  const references = readdirSync(join(ROOT, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))
  const named = [
    ...['package.json', 'README.md', 'LICENSE', 'oclif.manifest.json', 'bin/run.js', 'bin/zportald.js'],
    ...['man/zportal.1', 'man/zportald.1', ...references],
    ...['THIRD-PARTY.txt', 'index.js', 'run.js', 'zportald.js', 'bench/worker.js'].map(inDist),
    ...[...entries('commands'), ...entries('hooks')].map(inDist),
  ]
  const chunk = /^dist\/chunks\/[\w-]+\.js$/
  const all = contents(shell)
  const declaration = /^dist\/(.*)\.d\.ts$/
  expect(all.filter((path) => !chunk.test(path) && !declaration.test(path))).toEqual(named.sort())

  const declared = all.flatMap((path) => declaration.exec(path)?.[1] ?? [])
  expect(declared).toContain('index')
  expect(declared.filter((source) => !existsSync(join(ROOT, 'src', `${source}.ts`)))).toEqual([])

  // Each chunk is asked for by somebody: none is left of an older build.
  const code = all.filter((path) => path.endsWith('.js')).map((path) => file(shell, path).toString())
  for (const path of all.filter((path) => chunk.test(path))) {
    expect(code.some((text) => text.includes(path.slice('dist/chunks/'.length)))).toBe(true)
  }
  expect(statSync(shell).size).toBeLessThan(SHELL_MAX_BYTES)
})

test('the package of the platform is the addon and its papers', () => {
  expect(contents(platform)).toEqual(['LICENSE', 'README.md', 'package.json', addonName(thisPlatform())].sort())
  expect(statSync(platform).size).toBeLessThan(ADDON_MAX_BYTES)
})

test('the addon is for this platform, without symbols, and needs no newer glibc than promised', () => {
  const bytes = file(platform, addonName(thisPlatform()))
  checkAddon(thisPlatform(), bytes)
  expect(() => {
    checkAddon(thisPlatform(), bytes, '2.1')
  }).toThrow('is promised')
})

test('nothing of the machine it was made on is in it', () => {
  const home = ROOT.replace(/\/$/, '')
  expect(contents(shell).filter((path) => file(shell, path).includes(home))).toEqual([])
})

test('package.json in the tarball is the published one', () => {
  expect(JSON.parse(file(shell, 'package.json').toString())).toEqual(shellManifest())
})

test('publint has nothing to say', async () => {
  for (const tarball of [shell, platform]) {
    const bytes = readFileSync(tarball)
    const packed = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
    const { messages, pkg } = await publint({ pack: { tarball: packed }, strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  }
})

test('are the types wrong? They are not', { timeout: TOOL_MS }, () => {
  // A package of ES modules alone: Node 20 can only import it.
  const cli = join(
    dirname(createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json')),
    'dist',
    'index.js',
  )
  const said = execFileSync(process.execPath, [cli, shell, '--profile', 'esm-only', '--format', 'json'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  const { analysis } = JSON.parse(said) as { analysis: { problems: { kind: string; resolutionKind?: string }[] } }
  const problems = analysis.problems.filter(({ resolutionKind }) => !OLD_RESOLUTIONS.includes(resolutionKind ?? ''))
  expect(problems).toEqual([])
})

/** What the profile leaves out of its judgement and not out of its report. */
const OLD_RESOLUTIONS = ['node10', 'node16-cjs']

function inDist(path: string): string {
  return `dist/${path}`
}

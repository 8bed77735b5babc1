/*
 * What is made from the code says what the code says, and the man pages can be read. Needs the build, and neither root
 * nor a topology.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import { ERROR_CODES } from '../../src/errors.js'
import { ROOT, ZPORTAL } from '../harness/zportal.js'

const TYPEDOC_MS = 60_000
const PAGES = ['zportal', 'zportald']
const pageOf = (name: string): string => join(ROOT, 'man', `${name}.1`)

interface Manifest {
  commands: Record<string, { hidden?: boolean; flags: Record<string, { hidden?: boolean }> }>
}

/** Every command that is not hidden, with the flags that are not. */
const commands = Object.entries(
  (JSON.parse(readFileSync(join(ROOT, 'oclif.manifest.json'), 'utf8')) as Manifest).commands,
).flatMap(([id, { hidden, flags }]) => {
  const shown = Object.entries(flags).flatMap(([name, flag]) => (flag.hidden === true ? [] : [name]))
  return hidden === true ? [] : [{ name: `zportal ${id.replaceAll(':', ' ')}`, flags: shown }]
})

test('the references in the repository are what `npm run docs` writes', { timeout: TYPEDOC_MS }, () => {
  const { stderr, status } = spawnSync(process.execPath, [join(ROOT, 'scripts', 'docs.mjs'), '--check'], {
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})

test('docs/TROUBLESHOOTING.md has a place for every code', () => {
  const text = readFileSync(join(ROOT, 'docs', 'TROUBLESHOOTING.md'), 'utf8')
  expect(ERROR_CODES.filter((code) => !text.includes(`\`${code}\``))).toEqual([])
})

test('every file that a page leads to is there', () => {
  const folders = ['', 'docs']
  for (const folder of folders) {
    const pages = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.md'))
    for (const page of pages) {
      const text = readFileSync(join(ROOT, folder, page), 'utf8')
      for (const [, to = ''] of text.matchAll(/\]\(((?!https?:)[^)#\s]+)(?:#[^)]*)?\)/g)) {
        expect(existsSync(join(ROOT, folder, to)), `${page} leads to ${to}`).toBe(true)
      }
    }
  }
})

test.each(PAGES)('mandoc has no warning for %s(1)', (name) => {
  const lint = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', pageOf(name)], { encoding: 'utf8' })
  expect(lint.stdout + lint.stderr).toBe('')
})

test('zportal(1) and docs/CLI.md have every command and every flag', () => {
  const page = execFileSync('mandoc', ['-T', 'ascii', '-O', 'width=200', pageOf('zportal')], { encoding: 'utf8' })
  // Bold is each sign struck twice.
  // eslint-disable-next-line no-control-regex -- the backspace between them
  const shown = page.replaceAll(/.\u0008/g, '')
  const reference = readFileSync(join(ROOT, 'docs', 'CLI.md'), 'utf8')
  expect(commands.length).toBeGreaterThan(0)
  for (const { name, flags } of commands) {
    expect(shown).toContain(`\n   ${name}\n`)
    const section = new RegExp(`^## ${name}\n[^]*?(?=^## |$(?![^]))`, 'm').exec(reference)?.[0] ?? ''
    for (const flag of flags) expect(section).toMatch(new RegExp(`--(\\[no-\\])?${flag}\\b`))
  }
})

test.each([[['--help']], [['up', '--help']]])('zportal %j loads few files, and neither the addon nor zod', (args) => {
  // V8 tells which scripts it met. The time that this takes is measured by the bench, not in a test.
  const folder = mkdtempSync(join(tmpdir(), 'zportal-loaded-'))
  try {
    const [node = '', ...program] = ZPORTAL
    execFileSync(node, [...program, ...args], { env: { ...process.env, NODE_V8_COVERAGE: folder } })
    const [report = ''] = readdirSync(folder)
    const { result } = JSON.parse(readFileSync(join(folder, report), 'utf8')) as { result: { url: string }[] }
    const loaded = result.flatMap(({ url }) => (url.startsWith('file:') ? [fileURLToPath(url)] : []))
    const bytes = loaded.reduce((sum, file) => sum + statSync(file).size, 0)
    expect(loaded.length).toBeLessThanOrEqual(12)
    expect(bytes).toBeLessThan(800_000)
    for (const file of loaded) expect(readFileSync(file, 'utf8')).not.toMatch(/ZodError|createRequire\(.*\.node/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

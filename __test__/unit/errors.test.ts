import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CORE_ERROR_CODES, ERROR_CODES, SHELL_ERROR_CODES, ZPortalError } from '../../src/errors.js'
import { toError } from '../../src/native.js'

function project(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

/** The rows of the table, each as its cells. */
function documented(): string[][] {
  return project('docs/ERRORS.md')
    .split('\n')
    .filter((line) => line.startsWith('| `ZP_'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

test("the core's codes are ours, in the same order", () => {
  const [, list = ''] =
    /pub const CODES: &\[&str\] = &\[([^\]]*)\]/.exec(project('crates/zportal-core/src/error/code.rs')) ?? []
  const codes = [...list.matchAll(/"(ZP_[A-Z_]+)"/g)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(0)
  expect(CORE_ERROR_CODES).toEqual(codes)
})

test('the documentation has a row for each code, and for no other', () => {
  const rows = documented()
  expect(rows.map(([code]) => code)).toEqual(ERROR_CODES.map((code) => `\`${code}\``))
  for (const row of rows) {
    expect(row).toHaveLength(4)
    for (const cell of row) expect(cell).not.toBe('')
  }
})

test("the documentation marks the codes that are the shell's own", () => {
  const marked = documented().filter(([, meaning]) => meaning?.includes('Only the TypeScript side'))
  expect(marked.map(([code]) => code)).toEqual(SHELL_ERROR_CODES.map((code) => `\`${code}\``))
})

test('no code is listed twice', () => {
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length)
})

test("a failure's fields all arrive", () => {
  const error = toError({ code: 'ZP_DIAL', message: 'cannot connect', errno: 113, hop: 1, cause: 'No route to host' })
  expect(error).toBeInstanceOf(ZPortalError)
  expect(error).toMatchObject({
    name: 'ZPortalError',
    code: 'ZP_DIAL',
    message: 'cannot connect',
    errno: 113,
    hop: 1,
    cause: 'No route to host',
    problems: [],
  })
})

test('a code that this version does not know is a defect, and its message is kept', () => {
  const error = toError({ code: 'ZP_NEW', message: 'something' })
  expect(error.code).toBe('ZP_INTERNAL')
  expect(error.message).toContain('ZP_NEW: something')
  expect('cause' in error).toBe(false)
})

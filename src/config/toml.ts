/**
 * TOML 1.0 text into a value, with the line of every key and array element, so that whoever refuses a value can say where
 * it stands. The one file that knows the parser.
 */

import type { AST } from 'toml-eslint-parser'
import { getStaticTOMLValue, ParseError, parseTOML } from 'toml-eslint-parser'

/** A TOML document. */
export interface Document {
  readonly value: Readonly<Record<string, unknown>>
  /** The line (from 1) where a key or an array element stands, or the nearest thing around it that has one. */
  lineOf(path: readonly PropertyKey[]): number | undefined
}

/** Text that is no TOML. */
export class TomlError extends Error {
  /** Both from 1. */
  constructor(
    message: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(message)
  }
}

/** @throws {@link TomlError} */
export function parseToml(text: string): Document {
  const program = parse(text)
  const lines = new Map<string, number>()
  for (const entry of program.body[0].body) {
    if (entry.type === 'TOMLTable') {
      lines.set(keyOf(entry.resolvedKey), entry.loc.start.line)
      for (const inner of entry.body) note(lines, entry.resolvedKey, inner)
    } else {
      note(lines, [], entry)
    }
  }
  return {
    value: getStaticTOMLValue(program),
    lineOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const line = lines.get(keyOf(path.slice(0, length)))
        if (line !== undefined) return line
      }
      return undefined
    },
  }
}

function parse(text: string): AST.TOMLProgram {
  try {
    return parseTOML(text, { tomlVersion: '1.0' })
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw new TomlError(error.message, error.lineNumber, error.column + 1)
  }
}

/** Writes down where a key stands, the tables that its dots make, and what its value consists of. */
function note(lines: Map<string, number>, table: readonly PropertyKey[], { key, value, loc }: AST.TOMLKeyValue): void {
  const path = [...table]
  for (const part of key.keys) {
    path.push(part.type === 'TOMLBare' ? part.name : part.value)
    // Two dotted keys share their tables: the first is where such a table begins.
    if (!lines.has(keyOf(path))) lines.set(keyOf(path), loc.start.line)
  }
  noteContent(lines, path, value)
}

function noteContent(lines: Map<string, number>, path: readonly PropertyKey[], value: AST.TOMLContentNode): void {
  if (value.type === 'TOMLInlineTable') for (const inner of value.body) note(lines, path, inner)
  if (value.type !== 'TOMLArray') return
  value.elements.forEach((element, index) => {
    lines.set(keyOf([...path, index]), element.loc.start.line)
    noteContent(lines, [...path, index], element)
  })
}

function keyOf(path: readonly PropertyKey[]): string {
  return JSON.stringify(path.map(String))
}

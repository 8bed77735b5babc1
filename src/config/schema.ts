/**
 * The shape of a config file as a zod schema: which keys there are and what kind of value each has. Made from the rows of
 * `settings.ts`, so that a new setting is in files, in messages and in the JSON Schema at once.
 */

import { z } from 'zod'
import { describe } from '../option-fields.js'
import { nearest } from './nearest.js'
import type { Kind, Setting } from './settings.js'
import { SETTINGS } from './settings.js'

/** One thing wrong with a file. */
export interface ShapeProblem {
  readonly path: readonly PropertyKey[]
  /** A whole sentence. */
  readonly message: string
}

/** How a value has to look, for a message. */
const SHAPES: Readonly<Record<Kind, string>> = {
  text: 'a string',
  texts: 'an array of strings, or one string',
  integer: 'an integer',
  seconds: 'a number of seconds',
  toggle: 'true or false',
  'toggle-or-text': 'true, false or a string',
  bits: 'an integer',
  optional: 'true, false or a string',
}

const FILE = z.strictObject(
  Object.fromEntries(Object.entries(SETTINGS).map(([key, setting]) => [key, shapeOf(setting).optional()])),
)

/** The values of a file, or everything that is wrong with their shape. */
export function readShape(value: unknown): { settings: Record<string, unknown>; problems: ShapeProblem[] } {
  const result = FILE.safeParse(value)
  if (result.success) return { settings: { ...result.data }, problems: [] }
  return { settings: {}, problems: result.error.issues.flatMap((issue) => problemsOf(issue, value)) }
}

/** The schema as JSON Schema (2020-12), for editors. */
export function jsonSchema(): unknown {
  return {
    ...z.toJSONSchema(FILE, { target: 'draft-2020-12' }),
    title: 'ZPortal config file',
    description: 'One tunnel: each key is a flag of `zportal up`.',
  }
}

function shapeOf({ kind, summary, fallback }: Setting): z.ZodType {
  const about = fallback === undefined ? { description: summary } : { description: summary, default: fallback }
  const error = () => `must be ${SHAPES[kind]}`
  switch (kind) {
    case 'text':
      return z.string({ error }).meta(about)
    case 'texts':
      return z.union([z.string(), z.array(z.string())], { error }).meta(about)
    case 'toggle-or-text':
      return z.union([z.boolean(), z.string()], { error }).meta(about)
    case 'bits':
    case 'integer':
      return z.int({ error }).meta(about)
    case 'seconds':
      return z.number({ error }).meta(about)
    case 'toggle':
      return z.boolean({ error }).meta(about)
    case 'optional':
      return z.union([z.boolean(), z.string()], { error }).meta(about)
  }
}

function problemsOf(issue: z.core.$ZodIssue, whole: unknown): ShapeProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: unknownKey(key) }))
  }
  const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)[key], whole)
  return [{ path: issue.path, message: `${issue.path.map(String).join('.')} ${issue.message}, got ${describe(got)}` }]
}

function unknownKey(key: string): string {
  const names = Object.entries(SETTINGS)
  // Someone who knows the API writes its names here.
  const ofApi = names.find(([, { option }]) => option === key)?.[0]
  const guess = ofApi ?? nearest(key.replaceAll('_', '-'), Object.keys(SETTINGS))
  const help = guess === undefined ? 'zportal config schema lists them' : `did you mean ${JSON.stringify(guess)}?`
  return `there is no setting ${JSON.stringify(key)}; ${help}`
}

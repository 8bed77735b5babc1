/**
 * What two ZPortals say to each other before a bench, as texts of WORD (docs/WIRE.md). Pure: text in, values out. What
 * comes is a stranger's: whatever is not exactly right is no word at all.
 */

import { isIP } from 'node:net'

/** The longest text of WORD. */
const TEXT_MAX_BYTES = 252
const ID_MAX_CHARS = 32
/** More addresses of an asker are of no use. */
const FROM_MAX = 4

/** Why an end does not take part. */
export const REFUSALS = ['off', 'busy', 'address'] as const
export type Refusal = (typeof REFUSALS)[number]

export interface Ask {
  readonly bench: 'ask'
  readonly id: string
  /** Addresses of the asker inside the tunnel. */
  readonly from: readonly string[]
}

export interface At {
  readonly bench: 'at'
  readonly id: string
  readonly host: string
  readonly port: number
  /** Whoever shows it is the one who asked. */
  readonly token: string
}

export interface No {
  readonly bench: 'no'
  readonly id: string
  readonly why: Refusal
}

export type Word = Ask | At | No

/** The text of a word, if it fits; addresses of an asker that do not are left out. */
export function formatWord(word: Word): string {
  if (word.bench !== 'ask') return JSON.stringify(word)
  for (let count = Math.min(word.from.length, FROM_MAX); ; count -= 1) {
    const text = JSON.stringify({ ...word, from: word.from.slice(0, count) })
    if (Buffer.byteLength(text) <= TEXT_MAX_BYTES) return text
  }
}

/** The word that a text is; undefined for what is none that this version knows. */
export function parseWord(text: string): Word | undefined {
  let fields: Readonly<Record<string, unknown>>
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    fields = value as typeof fields
  } catch {
    return undefined
  }
  const { bench, id } = fields
  if (typeof id !== 'string' || id.length > ID_MAX_CHARS) return undefined
  switch (bench) {
    case 'ask': {
      const { from } = fields
      const isSound = Array.isArray(from) && from.length <= FROM_MAX && from.every(isAddress)
      return isSound ? { bench, id, from } : undefined
    }
    case 'at': {
      const { host, port, token } = fields
      const isSound = isAddress(host) && isPort(port) && typeof token === 'string' && /^[0-9a-f]{32}$/.test(token)
      return isSound ? { bench, id, host, port, token } : undefined
    }
    case 'no': {
      const why = REFUSALS.find((refusal) => refusal === fields['why'])
      return why === undefined ? undefined : { bench, id, why }
    }
    default:
      return undefined
  }
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && isIP(value) !== 0 && !value.includes('%')
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536
}

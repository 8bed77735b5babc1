/** How a failure is told on a command line: `ZP_CODE: sentence`, a line for each thing that is wrong. */

import type { ZPortalError } from '../errors.js'

/**
 * How people know an option: a flag, or a place in a file. The subject of a sentence may come with its index, as in
 * `addresses[1]`; a mention is in the middle of one.
 */
export type NameOf = (option: string, use: 'subject' | 'mention') => string

/** The lines, with options called as people wrote them. */
export function failureLines(error: ZPortalError, nameOf: NameOf): string {
  const { code, message, problems } = error
  if (problems.length === 0) return `${code}: ${message}\n`
  return problems
    .map(({ option, message }) => {
      const sentence = message.replace(/`(\w+)`/g, (_, name: string) => nameOf(name, 'mention'))
      return `${code}: ${option === '' ? '' : `${nameOf(option, 'subject')} `}${sentence}\n`
    })
    .join('')
}

/** Calls every option by its flag, by a table. */
export function byFlag(flags: Readonly<Record<string, string>>): NameOf {
  return (option) => flags[option.replace(/\[\d+\]$/, '')] ?? option
}

/** How a failure is told on a command line: `ZP_CODE: sentence`, a line for each thing that is wrong. */

import type { ZPortalError } from '../errors.js'

/** The lines. `flagNames` gives the flag for each option, so that people read what they wrote. */
export function failureLines(error: ZPortalError, flagNames: Readonly<Record<string, string>>): string {
  const { code, message, problems } = error
  if (problems.length === 0) return `${code}: ${message}\n`
  const flag = (option: string) => flagNames[option.replace(/\[\d+\]$/, '')] ?? option
  return problems
    .map(({ option, message }) => {
      const sentence = message.replace(/`(\w+)`/g, (_, name: string) => flag(name))
      return `${code}: ${option === '' ? '' : `${flag(option)} `}${sentence}\n`
    })
    .join('')
}

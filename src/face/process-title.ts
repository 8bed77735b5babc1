/** What other users of the machine see of our command line: `ps` shows it to everyone. */

import { redactWords } from '../redact.js'

/**
 * Takes passwords out of the process list, if the command line has any. They were there for a moment: a file or the
 * environment is the better place for them.
 */
export function hidePasswords(process: Pick<NodeJS.Process, 'argv' | 'title'>): void {
  const shown = process.argv.join(' ')
  const safe = redactWords(shown)
  if (safe !== shown) process.title = safe
}

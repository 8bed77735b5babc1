/** Programs of Debian packages that `scripts/ensure.mjs` unpacks without installing them. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { ROOT } from './zportal.js'

/** Where the program lies: on the path, or where the package was unpacked. */
export function debianProgram(name: string): string {
  const unpacked = ['usr/sbin', 'usr/bin'].map((folder) => join(ROOT, 'target', 'debian', folder))
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', ...unpacked]
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
  if (found === undefined) throw new Error(`there is no ${name}; node scripts/ensure.mjs --lint gets it`)
  return found
}

/**
 * `npm run docs`: writes the references that are made from the code: docs/CLI.md and the man pages from the commands,
 * docs/API.md from the types. They are kept in the repository, for those who read it there; `--check` says which of them
 * are not what would be written, and a test asks that.
 *
 * Needs the build, which knows the commands.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { argv } from 'node:process'

import { apiReference } from './docs/api.mjs'
import { cliReference } from './docs/cli.mjs'
import { readCommands, readDaemonHelp } from './docs/commands.mjs'
import { daemonPage, undated, zportalPage } from './docs/man.mjs'
import { ROOT } from './run.mjs'

const commands = readCommands()
const pages = {
  'docs/CLI.md': cliReference(commands),
  'docs/API.md': await apiReference(),
  'man/zportal.1': zportalPage(commands),
  'man/zportald.1': daemonPage(readDaemonHelp()),
}

const stale = Object.entries(pages).filter(([path, text]) => undated(text) !== undated(existing(path)))
if (argv.includes('--check')) {
  for (const [path] of stale) console.error(`${path} is not what the code says: npm run docs`)
  process.exitCode = stale.length === 0 ? 0 : 1
} else {
  for (const [path, text] of stale) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true })
    writeFileSync(join(ROOT, path), text)
    console.log(path)
  }
}

function existing(path) {
  return existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : ''
}

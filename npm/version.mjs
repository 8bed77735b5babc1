// Gives every package and crate the version that package.json has: npm runs it inside `npm version`, before the commit.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PLATFORMS } from './platforms.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

for (const platform of Object.keys(PLATFORMS)) rewrite(join('npm', platform, 'package.json'), /(?<="version": ")[^"]*/)
rewrite('Cargo.toml', /(?<=^\[workspace\.package\]\nversion = ")[^"]*/m)
// Cargo writes the new version of the crates into its lock file, and looks at nothing else.
execFileSync('cargo', ['update', '--workspace', '--offline', '--quiet'], { cwd: root, stdio: 'inherit' })
execFileSync('git', ['add', 'npm', 'Cargo.toml', 'Cargo.lock'], { cwd: root, stdio: 'inherit' })

function rewrite(file, place) {
  const path = join(root, file)
  const text = readFileSync(path, 'utf8')
  if (!place.test(text)) throw new Error(`${file} has no version to replace`)
  writeFileSync(path, text.replace(place, version))
}

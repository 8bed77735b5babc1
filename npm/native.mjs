// Builds the addon for the machine it runs on, into that platform's package folder, where src/native.ts looks first.
// Cargo decides whether anything has changed; when nothing has, this costs about a second.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PLATFORMS, thisPlatform } from './platforms.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(here)

const platform = thisPlatform()
if (!Object.hasOwn(PLATFORMS, platform)) {
  console.error(`ZPortal is built for Linux on x64 and arm64; this is ${platform}.`)
  process.exit(1)
}

const napi = join(dirname(createRequire(import.meta.url).resolve('@napi-rs/cli/package.json')), 'dist', 'cli.js')
const { status } = spawnSync(
  process.execPath,
  [
    napi,
    'build',
    '--release',
    '--platform',
    '--no-js',
    // Kept in the repository: a type test holds src/native.ts to it.
    ...['--dts', join('..', '..', 'crates', 'zportal-node', 'index.d.ts')],
    ...['--manifest-path', 'crates/zportal-node/Cargo.toml'],
    ...['--package-json-path', 'package.json'],
    ...['--output-dir', join('npm', platform)],
  ],
  { cwd: root, stdio: 'inherit' },
)
process.exit(status ?? 1)

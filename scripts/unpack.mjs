/**
 * Programs of Debian packages that are unpacked into target/debian, not installed: installing these would start a proxy
 * or a Tor on this machine, and only tests want them. Their libraries are installed, which start nothing.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ROOT, run } from './run.mjs'

const FOLDER = join(ROOT, 'target', 'debian')

/** Where unpacked programs lie. */
export const UNPACKED_PATH = ['usr/sbin', 'usr/bin'].map((folder) => join(FOLDER, folder))

/** Unpacks packages; `install` installs the libraries that they need. False when apt-get or dpkg failed. */
export async function unpack(packages, install) {
  const downloads = mkdtempSync(join(tmpdir(), 'zportal-unpack-'))
  try {
    const { code } = await run('apt-get', ['-qq', 'download', ...packages], { cwd: downloads, quiet: true })
    const files = readdirSync(downloads).map((name) => join(downloads, name))
    if (code !== 0 || files.length === 0) return false
    const libraries = (await Promise.all(files.map(librariesOf))).flat()
    if (libraries.length > 0 && !(await install(libraries))) return false
    mkdirSync(FOLDER, { recursive: true })
    for (const file of files) {
      if ((await run('dpkg-deb', ['-x', file, FOLDER])).code !== 0) return false
    }
    return true
  } finally {
    rmSync(downloads, { recursive: true, force: true })
  }
}

/** The libraries among the packages that a package depends on; other releases of Debian call them by other names. */
async function librariesOf(file) {
  const { output } = await run('dpkg-deb', ['-f', file, 'Pre-Depends', 'Depends'], { quiet: true })
  return [...output.matchAll(/(?:^|[,:]\s*)(lib[\w.+-]+)/gm)].map(([, name]) => name)
}

// Makes what is published: a tarball for the shell, and one for each platform whose addon has been built.
//
//     node npm/pack.mjs [--out FOLDER] [--all]
//
// The package.json of this repository is private and names no platform package, so that `npm ci` works in a clone before
// anything is published, and nothing half is published by accident. What users get is written here: the published fields
// and the platform packages as optionalDependencies of the same version, from which npm takes the one that fits. None
// has an install script. --all refuses to go on without every platform; a release does that.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, parse, resolve } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { compareVersions, readElf } from './elf.mjs'
import { addonName, GLIBC_CEILING, PLATFORMS } from './platforms.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The fields that mean something to those who install; the rest is for those who build. */
const PUBLISHED = [
  ...[
    'name',
    'version',
    'description',
    'keywords',
    'license',
    'homepage',
    'bugs',
    'repository',
    'type',
    'os',
    'engines',
  ],
  ...['bin', 'man', 'exports', 'files', 'oclif'],
]

/** Makes the tarballs in `out` and gives their paths, the shell's last: a package is published after what it needs. */
export function pack({ out, all = false }) {
  const platforms = Object.keys(PLATFORMS).filter((platform) => existsSync(addonOf(platform)))
  const missing = Object.keys(PLATFORMS).filter((platform) => !platforms.includes(platform))
  if (platforms.length === 0) throw new Error('no addon is built; npm run build makes the one of this machine')
  if (all && missing.length > 0) throw new Error(`not built: ${missing.join(', ')}`)
  mkdirSync(out, { recursive: true })
  const stage = mkdtempSync(join(tmpdir(), 'zportal-pack-'))
  try {
    const staged = [...platforms.map((platform) => stagePlatform(platform, stage)), stageShell(stage)]
    return { tarballs: staged.map((folder) => npmPack(folder, out)), missing }
  } finally {
    rmSync(stage, { recursive: true })
  }
}

/** What is published as package.json of the shell. */
export function shellManifest() {
  const manifest = readJson(join(root, 'package.json'))
  const published = Object.fromEntries(PUBLISHED.filter((key) => key in manifest).map((key) => [key, manifest[key]]))
  const optional = Object.keys(PLATFORMS).map((platform) => [platformManifest(platform).name, manifest.version])
  return { ...published, optionalDependencies: Object.fromEntries(optional) }
}

/** What is published as package.json of a platform's package. */
export function platformManifest(platform) {
  const manifest = readJson(join(root, 'npm', platform, 'package.json'))
  const { version } = readJson(join(root, 'package.json'))
  if (manifest.version !== version) {
    throw new Error(`npm/${platform}/package.json has version ${manifest.version}, package.json ${version}`)
  }
  return manifest
}

function stageShell(stage) {
  const folder = join(stage, 'zportal')
  mkdirSync(folder)
  const manifest = shellManifest()
  for (const entry of manifest.files.flatMap(spelledOut)) {
    if (!existsSync(join(root, entry))) throw new Error(`${entry} is not there; npm run build makes what is missing`)
    cpSync(join(root, entry), join(folder, entry), { recursive: true })
  }
  writeManifest(folder, manifest)
  return folder
}

/** The files that an entry such as `docs/*.md` stands for. */
function spelledOut(entry) {
  const { dir, base } = parse(entry)
  if (!base.startsWith('*')) return [entry]
  return readdirSync(join(root, dir))
    .filter((name) => name.endsWith(base.slice(1)))
    .map((name) => join(dir, name))
}

function stagePlatform(platform, stage) {
  const folder = join(stage, platform)
  mkdirSync(folder)
  const manifest = platformManifest(platform)
  const addon = join(folder, addonName(platform))
  cpSync(addonOf(platform), addon)
  // Symbols and lines are for profiles and backtraces here: three quarters of the file.
  if (!readElf(readFileSync(addon)).isStripped) execFileSync('strip', ['--strip-unneeded', addon])
  checkAddon(platform, readFileSync(addon))
  cpSync(join(root, 'npm', platform, 'README.md'), join(folder, 'README.md'))
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  writeManifest(folder, manifest)
  return folder
}

/** Refuses an addon that would not load where its package says that it does. */
export function checkAddon(platform, bytes, ceiling = GLIBC_CEILING) {
  const { cpu, libc } = PLATFORMS[platform]
  const { machine, needed, glibc, isStripped } = readElf(bytes)
  const linked = needed.some((library) => library.startsWith('libc.musl-')) ? 'musl' : 'glibc'
  if (machine !== cpu) throw new Error(`the addon for ${platform} is built for ${machine}`)
  if (linked !== libc) throw new Error(`the addon for ${platform} is linked against ${linked}`)
  if (!isStripped) throw new Error(`the addon for ${platform} still has its symbols`)
  if (glibc !== undefined && compareVersions(glibc, ceiling) > 0) {
    throw new Error(
      `the addon for ${platform} needs glibc ${glibc}; ${ceiling} is promised: build it on an older system`,
    )
  }
}

function npmPack(folder, out) {
  // Without the settings of the folder it is called from, whose package this is not.
  const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return join(out, JSON.parse(packed)[0].filename)
}

function addonOf(platform) {
  return join(root, 'npm', platform, addonName(platform))
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}

function writeManifest(folder, manifest) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

if (import.meta.url === pathToFileURL(argv[1]).href) {
  const { values } = parseArgs({ options: { out: { type: 'string' }, all: { type: 'boolean' } } })
  try {
    const { tarballs, missing } = pack({ out: resolve(values.out ?? join(root, 'target', 'npm')), all: values.all })
    for (const tarball of tarballs) console.log(tarball)
    if (missing.length > 0) console.error(`not built here, and so not packed: ${missing.join(', ')}`)
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}

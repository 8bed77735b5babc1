/* The packages of the platforms, and what is read from an addon before it is packed into one. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compareVersions, readElf } from '../../npm/elf.mjs'
import { checkAddon, platformManifest, shellManifest } from '../../npm/pack.mjs'
import { addonName, GLIBC_CEILING, PLATFORMS } from '../../npm/platforms.mjs'
import { PLATFORMS as LOADED } from '../../src/native.js'

function project(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

interface Root {
  version: string
  license: string
  engines: unknown
  repository: object
  scripts: Record<string, string>
  napi: { targets: string[] }
}

const root = JSON.parse(project('package.json')) as Root
const names = Object.keys(PLATFORMS)

test('the loader, the build and the folders know the same platforms', () => {
  const folders = readdirSync(new URL('../../npm', import.meta.url), { withFileTypes: true })
  expect(LOADED).toEqual(names)
  expect(root.napi.targets).toEqual(Object.values(PLATFORMS).map(({ target }) => target))
  expect(folders.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()).toEqual([...names].sort())
})

test.each(names)('the package of %s is for that platform alone, and runs nothing when it is installed', (platform) => {
  const { cpu, libc } = PLATFORMS[platform] ?? {}
  expect(platformManifest(platform)).toEqual({
    name: `zportal-${platform}`,
    version: root.version,
    description: expect.stringMatching(cpu === undefined ? /^$/ : `Linux on ${cpu} with ${String(libc)}`) as string,
    license: root.license,
    repository: { ...root.repository, directory: `npm/${platform}` },
    type: 'commonjs',
    main: addonName(platform),
    files: [addonName(platform)],
    os: ['linux'],
    cpu: [cpu],
    libc: [libc],
    engines: root.engines,
  })
  expect(project(`npm/${platform}/README.md`)).toMatch(`# zportal-${platform}\n`)
})

test('what is published depends on every platform, in the same version, and on nothing else', () => {
  const published = shellManifest()
  expect(published.optionalDependencies).toEqual(
    Object.fromEntries(names.map((name) => [`zportal-${name}`, root.version])),
  )
  for (const field of ['private', 'scripts', 'dependencies', 'devDependencies', 'overrides', 'napi']) {
    expect(published).not.toHaveProperty(field)
  }
})

test('npm has nothing to run when it installs a clone either', () => {
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    expect(root.scripts).not.toHaveProperty(script)
  }
})

test('the crates have the version of the package', () => {
  expect(project('Cargo.toml')).toContain(`\nversion = "${root.version}"\n`)
})

test('the README states the glibc that is checked', () => {
  expect(project('README.md')).toContain(`glibc ${GLIBC_CEILING} or newer`)
})

test('versions are compared by their numbers', () => {
  expect(['2.34', '2.4', '2.2.5', '2.10'].sort(compareVersions)).toEqual(['2.2.5', '2.4', '2.10', '2.34'])
})

test("an ELF file is read as binutils read it: Node's own", () => {
  const said = (...args: string[]): string => execFileSync('readelf', [...args, '-W', process.execPath], OUTPUT)
  const { needed, glibc, machine } = readElf(readFileSync(process.execPath))
  expect(needed).toEqual([...said('-d').matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library))
  const versions = [...said('-V').matchAll(/Name: GLIBC_([\d.]+)\s+Flags: none/g)].map(([, version]) => version ?? '')
  expect(glibc).toBe(versions.sort(compareVersions).at(-1))
  expect(machine).toBe(process.arch)
})

test('an addon for another processor or another C library, with symbols, or too new is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zportal-elf-'))
  try {
    const build = (name: string, ...args: string[]): Buffer => {
      const file = join(folder, name)
      writeFileSync(`${file}.c`, '#include <pthread.h>\nvoid *start(void) { return (void *)pthread_create; }')
      execFileSync('cc', ['-shared', '-fPIC', ...args, '-o', file, `${file}.c`])
      return readFileSync(file)
    }
    const [arch, other] = process.arch === 'x64' ? ['x64', 'arm64'] : ['arm64', 'x64']
    const stripped = build('stripped.so', '-s')
    const { glibc = '' } = readElf(stripped)
    const refusal = (platform: string, bytes: Buffer, ceiling = '9.9') => {
      try {
        checkAddon(platform, bytes, ceiling)
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
      return undefined
    }
    expect(refusal(`linux-${arch}-gnu`, stripped)).toBeUndefined()
    expect(refusal(`linux-${arch}-gnu`, stripped, glibc)).toBeUndefined()
    expect(refusal(`linux-${arch}-gnu`, stripped, '2.1')).toContain(`needs glibc ${glibc}; 2.1 is promised`)
    expect(refusal(`linux-${other}-gnu`, stripped)).toContain(`is built for ${arch}`)
    expect(refusal(`linux-${arch}-musl`, stripped)).toContain('is linked against glibc')
    expect(refusal(`linux-${arch}-gnu`, build('symbols.so'))).toContain('still has its symbols')
    expect(refusal(`linux-${arch}-gnu`, Buffer.from('no ELF file'))).toBe('not a 64-bit little-endian ELF file')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

const OUTPUT = { encoding: 'utf8', maxBuffer: 1 << 26 } as const

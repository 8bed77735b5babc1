/**
 * Makes a fresh clone ready: Debian packages, npm packages, the build. Whatever is there already is
 * left alone, so a second run takes seconds. Nothing has to be installed by hand but Node and Rust.
 *
 *     node scripts/ensure.mjs [--lint] [--bench] [--tor]
 */
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { argv, env } from 'node:process'
import { pathToFileURL } from 'node:url'

import { endWithSignals, ROOT, run } from './run.mjs'
import { unpack, UNPACKED_PATH } from './unpack.mjs'

/** Something that we cannot install ourselves; the message is for the user as it stands. */
export class Unmet extends Error {}

/** Each program needed and the Debian package that brings it. */
const BUILD_TOOLS = { cc: ['gcc', 'libc6-dev'] }
/** Only libFuzzer is C++. */
const FUZZ_TOOLS = { 'c++': ['g++'] }
const NETWORK_TOOLS = {
  ip: ['iproute2'],
  ping: ['iputils-ping'],
  iperf3: ['iperf3'],
  microsocks: ['microsocks'],
  nft: ['nftables'],
  curl: ['curl'],
  setpriv: ['util-linux'],
  'systemd-analyze': ['systemd'],
  tmux: ['tmux'],
}
/** Only the checks want these: shells to complete in, and a reader of man pages. */
const TEST_TOOLS = { zsh: ['zsh'], fish: ['fish'], mandoc: ['mandoc'] }
/** The same for those that would serve this machine once they were installed: unpacked only, and for the checks only. */
const PROXIES = { danted: ['dante-server'], tinyproxy: ['tinyproxy-bin'] }
const TOR = { tor: ['tor'], 'tor-gencert': ['tor'] }
const BENCH_TOOLS = { openvpn: ['openvpn'], socat: ['socat'] }

/** Does everything, in order; `say` is told each step that takes time. */
export async function ensure({ lint = false, bench = false, tor = false, say = console.log } = {}) {
  // Programs for administrators are not on every user's path, nor is rustup's directory.
  env.PATH = [env.PATH, '/usr/sbin', '/sbin', join(homedir(), '.cargo', 'bin'), ...UNPACKED_PATH].join(delimiter)
  checkNode()
  const more = { ...(lint ? { ...TEST_TOOLS, ...FUZZ_TOOLS } : {}), ...(bench ? BENCH_TOOLS : {}) }
  await debianPackages({ ...BUILD_TOOLS, ...NETWORK_TOOLS, ...more }, aptInstall, say)
  const proxies = lint || bench ? PROXIES : {}
  await debianPackages({ ...proxies, ...(tor ? TOR : {}) }, aptUnpack, say)
  await checkRust(lint)
  await npmPackages(say)
  say('building')
  await must('npm', ['run', '--silent', 'build'], 'the build failed; its output stands above')
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const wanted = Number(/\d+/.exec(engines.node)[0])
  if (Number(process.versions.node.split('.')[0]) < wanted) {
    throw new Unmet(`ZPortal needs Node ${wanted} or newer; this is ${process.version}. Get it from https://nodejs.org`)
  }
}

async function checkRust(lint) {
  const wanted = /rust-version = "(\d+)\.(\d+)"/.exec(readFileSync(join(ROOT, 'Cargo.toml'), 'utf8'))
  const needs = `ZPortal needs Rust ${wanted[1]}.${wanted[2]} or newer`
  const { code, output } = await run('rustc', ['--version'], { quiet: true })
  const got = /rustc (\d+)\.(\d+)/.exec(output)
  if (code !== 0 || !got || !program('cargo')) {
    throw new Unmet(`${needs}, and there is no rustc and cargo here. Get them from https://rustup.rs`)
  }
  const [major, minor] = [Number(got[1]) - Number(wanted[1]), Number(got[2]) - Number(wanted[2])]
  if (major < 0 || (major === 0 && minor < 0)) {
    throw new Unmet(`${needs}; this is ${output.trim()}. With rustup: rustup update stable`)
  }
  if (!lint) return
  // Rustup's minimal profile lacks both.
  const missing = ['clippy', 'rustfmt'].filter((name) => !program(name === 'clippy' ? 'cargo-clippy' : 'cargo-fmt'))
  if (missing.length === 0) return
  if (!program('rustup')) throw new Unmet(`the checks need ${missing.join(' and ')}: install them beside Rust`)
  await must('rustup', ['component', 'add', ...missing], `rustup could not add ${missing.join(' and ')}`)
}

async function debianPackages(tools, bring, say) {
  const missing = Object.entries(tools).filter(([name]) => !program(name))
  if (missing.length === 0) return
  const names = missing.map(([name]) => name).join(', ')
  const packages = [...new Set(missing.flatMap(([, wanted]) => wanted))]
  if (!program('apt-get') || process.getuid() !== 0) {
    const cure = program('apt-get') ? `apt-get install ${packages.join(' ')}` : 'install them as your system does'
    // Without root there are no namespaces either: the tests that need these count as skipped.
    if (process.getuid() !== 0 && program('cc')) return say(`not installed: ${names} (as root: ${cure})`)
    throw new Unmet(`not installed: ${names}; ${cure}`)
  }
  say(`${bring === aptUnpack ? 'unpacking' : 'installing'} ${packages.join(' ')}`)
  if (await bring(packages, { quiet: true })) return
  // The lists are empty in a fresh container, or older than the archive.
  await must('apt-get', ['-qq', 'update'], 'apt-get update failed; its output stands above')
  if (!(await bring(packages))) throw new Unmet(`apt-get could not bring ${packages.join(' ')}`)
}

async function aptInstall(packages, { quiet = false } = {}) {
  const options = ['-qq', '-y', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0', '--no-install-recommends']
  const { code } = await run('apt-get', ['install', ...options, ...packages], {
    quiet,
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  })
  return code === 0
}

function aptUnpack(packages, options) {
  return unpack(packages, (libraries) => aptInstall(libraries, options))
}

/** `npm ci` exactly when the lock file is not the one that was installed. */
async function npmPackages(say) {
  const stamp = join(ROOT, 'node_modules', '.npm-stamp')
  const wanted = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  say('installing npm packages')
  await must('npm', ['ci', '--no-audit', '--no-fund'], 'npm ci failed; its output stands above')
  writeFileSync(stamp, wanted)
}

async function must(command, args, sentence) {
  const { code } = await run(command, args)
  if (code !== 0) throw new Unmet(sentence)
}

/** Where a program lies on the path; undefined when it does not. */
export function program(name) {
  return env.PATH.split(delimiter)
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

if (import.meta.url === pathToFileURL(argv[1]).href) {
  endWithSignals()
  try {
    await ensure({ lint: argv.includes('--lint'), bench: argv.includes('--bench'), tor: argv.includes('--tor') })
  } catch (error) {
    if (!(error instanceof Unmet)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}

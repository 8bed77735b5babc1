/*
 * From the tarballs to traffic, as somebody who has Node and npm and nothing else: a real registry, into which everything
 * is published that `npm/pack.mjs` makes; no route leads anywhere else.
 *
 *     ┌─ server ───────────────────────────┐          ┌─ client ─────────────┐
 *     │ 127.0.0.1:4873  the registry       │          │                      │
 *     │ zt0    10.10.0.1  zportal up -b    ┼─ tunnel ─┼  zt0  10.10.0.2  -c  │
 *     │ eth0   192.0.2.1                   ├── veth ──┤ eth0  192.0.2.2      │
 *     └────────────────────────────────────┘          └──────────────────────┘
 *
 * Here one platform's addon can be built. The packages of the others are published with their real package.json and
 * nothing in them: what npm decides by must be seen to work, and nobody here can load their addons anyway.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { beforeAll, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import type { Namespace } from '../harness/namespace.js'
import { Newcomer } from '../harness/newcomer.js'
import { ping } from '../harness/ping.js'
import type { Child } from '../harness/process.js'
import { type Reader, twoHostsAndLibrary, unixSocket } from '../harness/recipes.js'
import { registry } from '../harness/registry.js'
import { INNER, innerOf, OUTER, type Pair, PORT, twoHosts } from '../harness/topology.js'
import { transfer } from '../harness/transfer.js'
import { event, flags, ROOT } from '../harness/zportal.js'

const PACK_MS = 60_000
const PLATFORMS = ['linux-x64-gnu', 'linux-x64-musl', 'linux-arm64-gnu', 'linux-arm64-musl']
/** What a program in TypeScript needs beside our package, from this repository's own installation. */
const FOR_TYPESCRIPT = ['typescript', '@types/node', 'undici-types']

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const LISTEN = `${OUTER.server.ipv4}:${PORT}`

endToEnd('the installed package', (lab) => {
  let hosts: Pair
  let address: string
  let user: Newcomer
  /** The platform whose package was packed. */
  let here: string

  beforeAll(async () => {
    hosts = await twoHosts(lab)
    address = await registry(lab, hosts.server)
    const publisher = await Newcomer.arrive(lab, 'publisher', address)
    const out = await lab.path('tarballs')
    const packed = await lab
      .spawn([process.execPath, join(ROOT, 'npm', 'pack.mjs'), '--out', out])
      .exitsWith(0, PACK_MS)
    const tarballs = packed.stdout.trim().split('\n')
    here = PLATFORMS.find((platform) => tarballs.some((file) => file.includes(`${platform}-${version}`))) ?? ''
    expect(tarballs.map((file) => file.slice(out.length + 1))).toEqual([
      `zportal-${here}-${version}.tgz`,
      `zportal-${version}.tgz`,
    ])
    const empty = PLATFORMS.filter((platform) => platform !== here).map((platform) =>
      publisher.project(platform, {
        'package.json': readFileSync(join(ROOT, 'npm', platform, 'package.json'), 'utf8'),
      }),
    )
    for (const what of [...empty, ...tarballs]) await publisher.npm(hosts.server, ['publish', what])
    user = await Newcomer.arrive(lab, 'user', address)
  }, 3 * PACK_MS)

  const zportal = (at: Namespace, ...args: string[]): Child => user.types(at, ['zportal', ...args])
  const installed = (prefix: string): string[] =>
    readdirSync(join(prefix, 'node_modules')).filter((name) => name.startsWith('zportal'))

  test('there is no Rust and no compiler', async () => {
    const programs = ['cargo', 'rustc', 'cc', 'sh'].map((program) => `try { execFileSync('${program}'); n++ } catch {}`)
    const script = `let n = 0; const { execFileSync } = require('child_process'); ${programs.join(';')}; console.log(n)`
    expect((await user.types(hosts.server, ['node', '-e', script]).exitsWith(0)).stdout).toBe('0\n')
  })

  test('npm i -g zportal: the shell and the one package for this machine, without a warning', async () => {
    const child = await user.types(hosts.server, ['npm', 'i', '-g', 'zportal']).exitsWith(0, PACK_MS)
    expect(child.stderr).toBe('')
    expect(child.stdout).toMatch(/^\s*added 2 packages/)
    const prefix = join(user.home, 'prefix')
    const shell = join(prefix, 'lib', 'node_modules', 'zportal')
    expect(readdirSync(join(prefix, 'lib', 'node_modules'))).toEqual(['zportal'])
    expect(installed(shell)).toEqual([`zportal-${here}`])
    const { stdout } = await zportal(hosts.server, '--version').exitsWith(0)
    expect(stdout).toContain(`zportal/${version} `)
    expect((await user.types(hosts.server, ['zportald', '-v']).exitsWith(0)).stdout).toBe(`zportald ${version}\n`)
  })

  test('zportal up at both ends: traffic flows, and it ends without a trace', async () => {
    const server = zportal(hosts.server, 'up', ...flags({ addresses: innerOf('server'), bind: LISTEN }))
    await server.line(event('listening'))
    const client = zportal(hosts.client, 'up', ...flags({ addresses: innerOf('client'), connect: LISTEN }))
    await client.line(event('up'))
    for (const to of [INNER.server.ipv4, INNER.server.ipv6]) {
      expect(await ping(hosts.client, to)).toMatchObject({ sent: 10, received: 10 })
    }
    const { sent, received } = await transfer(hosts.client, { namespace: hosts.server, address: INNER.server.ipv4 })
    expect(received).toEqual(sent)
    // It has a thread of its own, whose file has to be where the package puts it.
    const bench = await zportal(hosts.client, 'bench', '--time', '1', '--streams', '1').exitsWith(0)
    expect(bench.stdout).toMatch(/^zt0 with 192\.0\.2\.1:7000 \(v1 .*\), 1 stream, 1 s each way\n/)
    expect(bench.stdout).toMatch(/^download +[\d.]+ [MG]bit\/s .*\nupload +[\d.]+ [MG]bit\/s /m)
    expect(bench.stdout).toMatch(/^grade [A-F]\+?: ping rises by /m)
    for (const end of [client, server]) {
      end.signal('SIGTERM')
      await end.exitsWith(0)
    }
    expect([...(await hosts.server.tuns()), ...(await hosts.client.tuns())]).toEqual([])
  })

  test('the recipes of the README at the first try', async () => {
    const folder = user.project('recipe', { 'package.json': '{ "private": true }' })
    await user.npm(hosts.server, ['i', 'zportal'], { cwd: folder })
    const reader: Reader = {
      // A shell is all that they have beside Node.
      shell: (at, commands) => user.types(at, ['/bin/sh', '-c', commands]),
      program: (at, code) => {
        writeFileSync(join(folder, 'tunnel.mjs'), code)
        return user.types(at, ['node', 'tunnel.mjs'], { cwd: folder })
      },
    }
    await twoHostsAndLibrary(hosts, reader)
    const shared = join(user.home, 'shared')
    mkdirSync(shared)
    await unixSocket(hosts, reader, shared)
  })

  test('npm i zportal: a strict TypeScript program compiles against its types and runs', async () => {
    const publisher = await Newcomer.arrive(lab, 'typescript', address)
    const modules = join(ROOT, 'node_modules')
    for (const name of FOR_TYPESCRIPT)
      await publisher.npm(hosts.server, ['publish', '--ignore-scripts', join(modules, name)])
    const folder = user.project('program', { 'package.json': '{ "type": "module", "private": true }', ...PROGRAM })
    await user.npm(hosts.server, ['i', 'zportal'], { cwd: folder })
    await user.npm(hosts.server, ['i', '-D', 'typescript', '@types/node'], { cwd: folder })
    const tsc = user.types(hosts.server, ['node', join('node_modules', 'typescript', 'bin', 'tsc')], { cwd: folder })
    expect((await tsc.exitsWith(0, PACK_MS)).stdout).toBe('')

    const run = (at: Namespace, ...args: string[]): Child =>
      user.types(at, ['node', join(folder, 'out', 'program.js'), ...args])
    const server = run(hosts.server, 'bind', LISTEN, '10.10.0.1/24')
    await server.line(/^listening on 192\.0\.2\.1:7000$/)
    const client = run(hosts.client, 'connect', LISTEN, '10.10.0.2/24')
    await client.line(/^up with .*192\.0\.2\.1:7000/)
    expect(await ping(hosts.client, INNER.server.ipv4)).toMatchObject({ sent: 10, received: 10 })
    client.stdin.end()
    await client.line(/^closed ZP_CLOSED [1-9]\d* packets$/)
    await client.exitsWith(0)
    server.stdin.end()
    await server.exitsWith(0)
  })

  test('on every platform npm takes its package, and no other', async () => {
    for (const platform of PLATFORMS) {
      const [os = '', cpu = '', libc] = platform.split('-')
      const folder = user.project(platform, { 'package.json': '{ "private": true }' })
      const machine = [`--os=${os}`, `--cpu=${cpu}`, `--libc=${libc === 'gnu' ? 'glibc' : 'musl'}`]
      await user.npm(hosts.server, ['i', 'zportal', ...machine], { cwd: folder })
      expect(installed(folder)).toEqual(['zportal', `zportal-${platform}`])
    }
  })

  test('without the package of the platform it says which one, and what to do', async () => {
    const folder = user.project('bare', { 'package.json': '{ "private": true }' })
    await user.npm(hosts.server, ['i', 'zportal', '--omit=optional'], { cwd: folder })
    expect(installed(folder)).toEqual(['zportal'])
    const bare = user.types(hosts.server, [join(folder, 'node_modules', '.bin', 'zportal'), 'up', '-b', LISTEN])
    await bare.exitsWith(1)
    expect(bare.stderr).toContain(`ZP_NATIVE: cannot load the native part for ${here}: `)
    expect(bare.stderr).toContain(`the package zportal-${here} is not installed`)
    expect(bare.stderr).toContain('install zportal again without --omit=optional')
    // What needs no native part works all the same.
    await user.types(hosts.server, [join(folder, 'node_modules', '.bin', 'zportal'), '--help']).exitsWith(0)
  })

  test('npm rm -g zportal leaves nothing', async () => {
    await user.npm(hosts.server, ['rm', '-g', 'zportal'])
    const left = readdirSync(join(user.home, 'prefix'), { recursive: true, encoding: 'utf8' }).filter(
      (path) => !lstatSync(join(user.home, 'prefix', path)).isDirectory() && !path.endsWith('.package-lock.json'),
    )
    expect(left).toEqual([])
  })
})

/** The least forgiving settings that TypeScript has; the declarations of the packages are checked, too. */
const PROGRAM = {
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      types: ['node'],
      outDir: 'out',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      noImplicitOverride: true,
      verbatimModuleSyntax: true,
      isolatedModules: true,
      erasableSyntaxOnly: true,
      skipLibCheck: false,
    },
    files: ['program.ts'],
  }),
  'program.ts': `
import { once } from 'node:events'
import { openTunnel, ZPortalError, type StateChange, type TunnelOptions } from 'zportal'

const [role, address = '', inner = ''] = process.argv.slice(2)
const common = { name: 'zt0', mtu: 1400, addresses: [inner] } as const
const options: TunnelOptions =
  role === 'bind' ? { ...common, bind: address } : { ...common, connect: address, dialTimeoutMs: 10_000 }

// What a caller can get wrong does not compile.
// @ts-expect-error -- both ends
const both: TunnelOptions = { ...common, bind: address, connect: address }
// @ts-expect-error -- a number as text
const text: TunnelOptions = { bind: address, mtu: '1400' }
void [both, text]

try {
  await openTunnel({ ...common, bind: 'nowhere' })
} catch (error) {
  if (!(error instanceof ZPortalError) || error.code !== 'ZP_OPTION') throw error
}

const tunnel = await openTunnel(options)
{
  await using open = tunnel
  open.on('state', (change: StateChange) => {
    if (change.state === 'closed') console.log('closed', change.reason.code, open.stats().rxPackets, 'packets')
  })
  if (open.local !== undefined) console.log('listening on', open.local)
  const peer = await open.whenUp()
  console.log('up with', peer.address)
  process.stdin.resume()
  await once(process.stdin, 'end')
}
`,
}

/*
 * What `zportal service` makes of a config: a unit that systemd takes, or why a service could not work with it. Needs
 * no topology.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { beforeAll, expect, test } from 'vitest'

import { endToEnd } from '../harness/end-to-end.js'
import type { Child } from '../harness/process.js'
import { ZPORTAL } from '../harness/zportal.js'

/** What the unit keeps to itself: systemd's own measure, from 0 (nothing is open) to 100. */
const EXPOSURE_MAX = 20

const hasSystemd = runs('systemd-analyze', '--version')

endToEnd('the unit of a service', (lab) => {
  let configs: string
  beforeAll(async () => {
    configs = await lab.path('configs')
    mkdirSync(configs)
    writeFileSync(join(configs, 'lab.toml'), 'address = "10.10.0.2/24"\nconnect = "192.0.2.1:7000"\n')
  })

  const service = (...args: string[]): Child =>
    lab.spawn([...ZPORTAL, 'service', ...args], { env: { ZPORTAL_CONFIG_DIR: configs } })

  test('is one that systemd takes, and that leaves little open', async ({ skip }) => {
    skip(!hasSystemd, 'there is no systemd-analyze')
    const folder = await lab.path('verify')
    const installed = service('install', 'lab', '--unit-dir', folder)
    await installed.exitsWith(0)
    const unit = join(folder, 'zportal@lab.service')
    // It warns on stderr and exits with 0 for an assignment that it does not know.
    const verified = lab.spawn(['systemd-analyze', 'verify', '--man=no', unit])
    await verified.exitsWith(0)
    expect(verified.stderr.split('\n').filter((line) => line.includes('zportal'))).toEqual([])
    const secured = ['systemd-analyze', 'security', '--offline=yes', '--no-pager', `--threshold=${EXPOSURE_MAX}`, unit]
    await lab.spawn(secured).exitsWith(0)
    // And a unit with a word wrong is not taken.
    const wrong = join(folder, 'zportal@wrong.service')
    writeFileSync(wrong, readFileSync(unit, 'utf8').replace('ProtectSystem=', 'ProtectSistem='))
    const refused = lab.spawn(['systemd-analyze', 'verify', '--man=no', wrong])
    await refused.exit()
    expect(refused.stderr).toContain('ProtectSistem')
  })

  test('is printed, written where it belongs, and written again', async () => {
    const printed = service('print', 'lab')
    await printed.exitsWith(0)
    const folder = await lab.path('units')
    const dry = service('install', 'lab', '--dry-run', '--unit-dir', folder)
    await dry.exitsWith(0)
    expect(existsSync(folder)).toBe(false)
    expect(dry.stdout).toBe(`# would be written to ${folder}/zportal@lab.service\n${printed.stdout}`)
    for (let time = 0; time < 2; time += 1) {
      const installed = service('install', 'lab', '--unit-dir', folder)
      await installed.exitsWith(0)
      expect(installed.stdout).toContain('systemctl enable --now zportal@lab')
      expect(readdirSync(folder)).toEqual(['zportal@lab.service'])
      expect(readFileSync(join(folder, 'zportal@lab.service'), 'utf8')).toBe(printed.stdout)
      expect(statSync(join(folder, 'zportal@lab.service')).mode & 0o777).toBe(0o644)
    }
  })

  test('of somebody else is not overwritten', async () => {
    const folder = await lab.path('theirs')
    mkdirSync(folder)
    const unit = join(folder, 'zportal@lab.service')
    writeFileSync(unit, '[Unit]\n')
    const refused = service('install', 'lab', '--unit-dir', folder)
    await refused.exitsWith(1)
    expect(refused.stderr).toMatch(/^ZP_SERVICE: .*zportal@lab\.service/)
    expect(readFileSync(unit, 'utf8')).toBe('[Unit]\n')
  })

  test('needs a config that is there and that its user can use', async () => {
    const none = service('print', 'nowhere')
    await none.exitsWith(2)
    expect(none.stderr).toMatch(/^ZP_CONFIG: /)
    expect(none.stdout).toBe('')

    writeFileSync(join(configs, 'secret.password'), 'hush\n', { mode: 0o600 })
    const proxy = (reference: string) =>
      `connect = "server.example:7000"\nproxy = ["192.0.2.9:1080"]\ncongestion = "${reference}"\n`
    writeFileSync(join(configs, 'secret.toml'), proxy('${file:secret.password}'))
    const refused = service('print', 'secret')
    await refused.exitsWith(1)
    expect(refused.stderr).toMatch(/^ZP_SERVICE: .*secret\.password.*credential/)

    writeFileSync(join(configs, 'secret.toml'), proxy('${credential:hush}'))
    chmodSync(join(configs, 'secret.toml'), 0o600)
    writeFileSync(join(configs, 'tmp.toml'), 'bind = "unix:/tmp/zt.sock"\n')
    const hidden = service('print', 'tmp')
    await hidden.exitsWith(1)
    expect(hidden.stderr).toMatch(/^ZP_SERVICE: .*unix:\/tmp\/zt\.sock/)

    const taken = service('print', 'secret')
    await taken.exitsWith(0)
    expect(taken.stdout).toContain(`\nLoadCredential=hush:${configs}/credentials/hush\n`)
    expect(taken.stdout).toContain(`\nLoadCredential=secret.toml:${configs}/secret.toml\n`)
  })

  test('may write where the sockets lie, and knows no password', async () => {
    const sockets = ['control = "/srv/a/zt.sock"', 'connect = "unix:/srv/b/peer"']
    const proxy =
      'proxy = ["http+unix://alice:${file:/etc/hostname}@/srv/c/proxy", "socks5+unix://bob:sesame@/srv/d/p"]'
    writeFileSync(join(configs, 'sockets.toml'), [...sockets.slice(0, 1), 'connect = "h:1"', proxy].join('\n'))
    const printed = service('print', 'sockets')
    await printed.exitsWith(0)
    const writable = printed.stdout.split('\n').filter((line) => line.startsWith('ReadWritePaths='))
    expect(writable).toEqual(['/srv/c', '/srv/d', '/srv/a'].map((folder) => `ReadWritePaths=-${folder}`))
    expect(printed.stdout).not.toContain('sesame')
    writeFileSync(join(configs, 'sockets.toml'), sockets.join('\n'))
    const plain = service('print', 'sockets')
    await plain.exitsWith(0)
    expect(plain.stdout).toContain('ReadWritePaths=-/srv/b\nReadWritePaths=-/srv/a\n')
  })

  test.each([
    ['a password file', 'proxy-password-file = "SECRET"', /SECRET.*proxy-password-file.*credential/],
    ['the second of two', 'name = "${file:OPEN}"\ncongestion = "${file:SECRET}"', /SECRET.*credential/],
  ])('is refused where its user could not read %s', async (_name, lines, sentence) => {
    const folder = await lab.path('private')
    mkdirSync(folder)
    for (const [name, mode] of [
      ['secret', 0o600],
      ['open', 0o644],
    ] as const) {
      writeFileSync(join(folder, name), '1\n', { mode })
    }
    const config = lines.replaceAll('SECRET', join(folder, 'secret')).replaceAll('OPEN', '/etc/hostname')
    writeFileSync(join(configs, 'private.toml'), `connect = "h:1"\nproxy = ["192.0.2.9:1080"]\n${config}\n`)
    const refused = service('print', 'private')
    await refused.exitsWith(1)
    expect(refused.stderr.replaceAll(join(folder, 'secret'), 'SECRET')).toMatch(sentence)
    execFileSync('rm', ['-r', folder])
  })

  test('leaves what its hooks say to the shell, and a config in a closed folder to systemd', async () => {
    const hook = 'hook-up = "echo ${file:-none} ${credential:-none}"'
    writeFileSync(join(configs, 'hooks.toml'), `connect = "h:1"\n${hook}\n`)
    const printed = service('print', 'hooks')
    await printed.exitsWith(0)
    expect(printed.stdout).not.toContain('credentials/')
    chmodSync(configs, 0o700)
    const closed = service('print', 'hooks')
    await closed.exitsWith(0)
    expect(closed.stdout).toContain(`\nLoadCredential=hooks.toml:${configs}/hooks.toml\n`)
    chmodSync(configs, 0o755)
  })
})

function runs(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/*
 * What the shells offer with the scripts of `zportal completion`, asked of the shells themselves. Needs the build, and
 * neither root nor a topology.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ZPORTAL } from '../harness/zportal.js'

const CAPTURE = fileURLToPath(new URL('../harness/inside/complete.zsh', import.meta.url))

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zportal-completion-'))
  for (const name of ['lab.toml', 'mill.toml', 'notes.txt']) writeFileSync(join(folder, name), '')
  const running = join(folder, 'run', String(statSync('/proc/self/ns/net').ino))
  mkdirSync(running, { recursive: true })
  for (const name of ['zt0.sock', 'zt1.sock']) writeFileSync(join(running, name), '')
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ZPORTAL_CONFIG_DIR: folder, ZPORTAL_RUN_DIR: join(folder, 'run') },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

function script(shell: string): string {
  const file = join(folder, shell)
  const [node = '', ...args] = ZPORTAL
  if (!existsSync(file)) writeFileSync(file, run(node, ...args, 'completion', shell))
  return file
}

/** What each shell offers at the end of a line, without the descriptions that some have. */
const SHELLS: Record<string, (line: string) => string[]> = {
  // The function that bash would call, with what bash would tell it: words, ended at = and : as well.
  bash: (line) => {
    const words = line.split(/ +|(?=[=:])|(?<=[=:])/).map((word) => `'${word}'`)
    const tell = `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}`
    const ask = `source ${script('bash')}; ${tell}; _zportal; printf '%s\\n' "\${COMPREPLY[@]}"`
    return run('bash', '--norc', '-c', ask).split('\n')
  },
  fish: (line) =>
    run('fish', '-N', '-c', `source ${script('fish')}; complete -C '${line}'`)
      .split('\n')
      .map((offered) => offered.replace(/\t.*/, '')),
  zsh: (line) => run('zsh', '-f', CAPTURE, script('zsh'), line).split('\n'),
}

describe.each(Object.keys(SHELLS))('%s', (shell) => {
  const offered = (line: string): string[] =>
    (SHELLS[shell]?.(line) ?? []).filter((word) => word !== '' && !word.startsWith('-h')).sort()

  test('commands, and the words behind a topic', () => {
    expect(offered('zportal ')).toEqual(expect.arrayContaining(['completion', 'config', 'up']))
    expect(offered('zportal u')).toEqual(['up'])
    expect(offered('zportal config s')).toEqual(['schema', 'show'])
  })

  test('the flags of the command that is there, and of no other', () => {
    expect(offered('zportal up --mt')).toEqual(['--mtu'])
    expect(offered('zportal up --no-off')).toEqual(['--no-offload'])
    expect(offered('zportal up -n zt0 --mt')).toEqual(['--mtu'])
    expect(offered('zportal config show --mt')).toEqual([])
  })

  test('the values that are known, and nothing where only the user knows', () => {
    expect(offered('zportal completion ')).toEqual(['bash', 'fish', 'zsh'])
    expect(offered('zportal up ')).toEqual(['lab', 'mill'])
    expect(offered('zportal up l')).toEqual(['lab'])
    expect(offered(`zportal up -f ${folder}/no`).map((path) => path.replace(/^.*\//, ''))).toEqual(['notes.txt'])
    expect(offered('zportal status ')).toEqual(['zt0', 'zt1'])
    expect(offered('zportal up --mtu ')).toEqual([])
    // Its value would stand behind =, so the next word is another.
    expect(offered('zportal up --tor ')).toEqual(['lab', 'mill'])
  })
})

test('a shell that there is no script for is refused with those that there are', () => {
  const [node = '', ...args] = ZPORTAL
  expect(() => execFileSync(node, [...args, 'completion', 'tcsh'], { stdio: 'pipe' })).toThrow(
    /ZP_OPTION: .*tcsh.*bash, fish, zsh/s,
  )
})

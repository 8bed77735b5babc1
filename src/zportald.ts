/**
 * `zportald`: the original's command line, for those who replace it in place. Its flags and nothing more, exit code 0
 * or 1, and nothing on stdout but what -h and -v ask for.
 */

import './face/lean.js'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { optionsFrom } from './config/settings.js'
import { ZPortalError } from './errors.js'
import { byFlag, failureLines } from './face/failure.js'
import { foreground } from './face/foreground.js'
import { hidePasswords } from './face/process-title.js'
import { PASSWORD_VARIABLE, withPasswordsOf } from './face/proxy-passwords.js'
import type { TunnelOptions } from './tunnel-options.js'
import { DEFAULT_MTU_BYTES, DEFAULT_NAME } from './tunnel-options.js'
import { redactWords } from './redact.js'

const HELP = `usage: zportald [-n NAME] [-m BYTES] [-a CIDR]... (-b ADDR | -c ADDR [-p PROXY]...)

  -n NAME   network device; %d lets the kernel number it (default ${DEFAULT_NAME})
  -m BYTES  largest packet, 68 to 65535, the same at both ends (default ${DEFAULT_MTU_BYTES})
  -a CIDR   address inside the tunnel, such as 10.10.0.1/24 or fd00::1/64; repeatable
  -b ADDR   listen there; one peer at a time
  -c ADDR   dial the peer there, once
  -p PROXY  proxy on the way; repeat it for a chain, the nearest first
  -h        print this and exit
  -v        print the version and exit

ADDR is 192.0.2.1:7000, [2001:db8::1]:7000, host.example:7000, unix:/path or unixa:name. PROXY is an ADDR (SOCKS5), or
socks5:// or http:// with [USER[:PASSWORD]@]HOST:PORT; passwords that are missing stand in ${PASSWORD_VARIABLE}.
Exactly one of -b and -c. Ends with 0 after SIGINT or SIGTERM, otherwise with 1 and the reason on stderr.
`

const NAME_OF = byFlag({
  name: '-n',
  mtu: '-m',
  addresses: '-a',
  bind: '-b',
  connect: '-c',
  proxies: '-p',
  proxyPasswords: PASSWORD_VARIABLE,
  proxyPasswordFile: PASSWORD_VARIABLE,
})

/** What a command line asks for. */
export type Asked = { readonly kind: 'help' | 'version' } | { readonly kind: 'tunnel'; readonly options: TunnelOptions }

// parseArgs knows a flag of one letter only as the short form of a long one; readFlags refuses those long ones.
const VALUE = { type: 'string' } as const
const VALUES = { type: 'string', multiple: true } as const
const TOGGLE = { type: 'boolean' } as const
const FLAGS = {
  n: { ...VALUE, short: 'n' },
  m: { ...VALUE, short: 'm' },
  a: { ...VALUES, short: 'a' },
  b: { ...VALUE, short: 'b' },
  c: { ...VALUE, short: 'c' },
  p: { ...VALUES, short: 'p' },
  h: { ...TOGGLE, short: 'h' },
  v: { ...TOGGLE, short: 'v' },
}

/**
 * Reads a command line. What the flags say is judged by `openTunnel`.
 *
 * @throws {@link ZPortalError} `ZP_OPTION` for a flag that does not exist or lacks its value.
 */
export function parseCommandLine(args: readonly string[]): Asked {
  const flags = readFlags(args)
  if (flags.h === true) return { kind: 'help' }
  if (flags.v === true) return { kind: 'version' }
  const { n: name, m: mtu, a: address, b: bind, c: connect, p: proxy } = flags
  // The original dials once.
  const once = connect === undefined ? undefined : true
  const options: unknown = withPasswordsOf(process.env, optionsFrom({ name, mtu, address, bind, connect, proxy, once }))
  return { kind: 'tunnel', options: options as TunnelOptions }
}

function readFlags(args: readonly string[]) {
  try {
    const { values, tokens } = parseArgs({ args: [...args], options: FLAGS, tokens: true })
    const long = tokens.find((token) => token.kind === 'option' && token.rawName.startsWith('--'))
    if (long?.kind === 'option') throw new Error(`Unknown option '${long.rawName}'`)
    return values
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    const flag = /^Option '(-\w)/.exec(message)?.[1]
    const sentence = flag === undefined ? message.split('\n')[0] : `${flag} needs a value`
    throw new ZPortalError('ZP_OPTION', `${redactWords(sentence ?? '')}; zportald -h tells what there is`, { cause })
  }
}

/** Runs the command line and resolves with the exit code. */
export async function main(args: readonly string[]): Promise<0 | 1> {
  try {
    hidePasswords(process)
    const asked = parseCommandLine(args)
    switch (asked.kind) {
      case 'help':
        process.stdout.write(HELP)
        break
      case 'version':
        process.stdout.write(`zportald ${version()}\n`)
        break
      case 'tunnel':
        await foreground(asked.options, { live: false })
    }
    return 0
  } catch (error) {
    if (!(error instanceof ZPortalError)) throw error
    process.stderr.write(failureLines(error, NAME_OF))
    return 1
  }
}

function version(): string {
  return (createRequire(import.meta.url)('zportal/package.json') as { version: string }).version
}

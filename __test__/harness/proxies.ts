/** Real proxies with passwords, and a way to put any of them behind a Unix socket. microsocks has a file of its own. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import type { Lab } from './lab.js'
import type { Namespace } from './namespace.js'
import { listening } from './proc.js'
import type { Child } from './process.js'
import { debianProgram } from './programs.js'

const RELAY = fileURLToPath(new URL('inside/unix-relay.mjs', import.meta.url))

export const HTTP_PORT = 3128
export const DANTE_PORT = 1081

/** Who may pass a proxy that wants to know. The password has characters that a URL has to encode. */
export const LOGIN = { user: 'alice', password: 'open:sesame@/%' }
/** The same as it stands in a URL. */
export const USERINFO = `${LOGIN.user}:${encodeURIComponent(LOGIN.password)}`

/**
 * Dante, which asks the system's users for their passwords: the namespace has files of its own in the place of
 * /etc/passwd and /etc/shadow (ip-netns(8)), with one user more, so that this machine's stay untouched.
 */
export async function dante(lab: Lab, at: Namespace, address: string): Promise<Child> {
  await addUser(at)
  const config = await lab.path(`danted-${at.name}.conf`)
  await writeFile(
    config,
    `logoutput: stderr
internal: ${address} port = ${DANTE_PORT}
${await externals(at)}
external.rotation: route
clientmethod: none
socksmethod: username
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 protocol: tcp }
`,
  )
  const child = at.spawn([debianProgram('danted'), '-f', config, '-p', `${config}.pid`, '-N', '1'])
  await listening(child, DANTE_PORT)
  return child
}

/** tinyproxy, which speaks CONNECT and asks for Basic authentication. */
export async function tinyproxy(lab: Lab, at: Namespace, address: string): Promise<Child> {
  const config = await lab.path(`tinyproxy-${at.name}.conf`)
  // Its configuration knows only simple words: this user has a password of its own.
  await writeFile(
    config,
    `Port ${HTTP_PORT}
Listen ${address}
Timeout 600
MaxClients 20
BasicAuth ${HTTP_LOGIN.user} ${HTTP_LOGIN.password}
`,
  )
  const child = at.spawn([debianProgram('tinyproxy'), '-d', '-c', config])
  await listening(child, HTTP_PORT)
  return child
}

export const HTTP_LOGIN = { user: 'bob', password: 'sesame_street' }
export const HTTP_USERINFO = `${HTTP_LOGIN.user}:${HTTP_LOGIN.password}`

/** Listens on a Unix socket and passes each connection on to a TCP address of the namespace. */
export async function behindUnix(at: Namespace, path: string, host: string, port: number): Promise<Child> {
  const child = at.spawn([process.execPath, RELAY, path, host, String(port)])
  await child.line(/^listening$/)
  return child
}

async function addUser(at: Namespace): Promise<void> {
  const folder = join('/etc/netns', at.name)
  await mkdir(folder, { recursive: true })
  const [passwd, shadow] = await Promise.all(['/etc/passwd', '/etc/shadow'].map((path) => readFile(path, 'utf8')))
  const hash = await promisify(execFile)('perl', ['-e', 'print crypt($ARGV[0], q($6$zportal$))', LOGIN.password])
  await writeFile(join(folder, 'passwd'), `${passwd}${LOGIN.user}:x:65530:65534::/nonexistent:/usr/sbin/nologin\n`)
  await writeFile(join(folder, 'shadow'), `${shadow}${LOGIN.user}:${hash.stdout}:19000:0:99999:7:::\n`, { mode: 0o600 })
}

/** Dante connects from the devices that it was told of only. */
async function externals(at: Namespace): Promise<string> {
  const links = JSON.parse(await at.ip('-json', 'link', 'show')) as { ifname: string }[]
  return links
    .filter(({ ifname }) => ifname !== 'lo')
    .map(({ ifname }) => `external: ${ifname}`)
    .join('\n')
}

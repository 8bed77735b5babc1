/**
 * A Tor network of one's own: directory authorities, exit relays, an onion service and a client, all real `tor`
 * processes in one namespace, which know nothing of the Tor network outside.
 *
 * The layout is that of Tor's own test tool, chutney: TestingTorNetwork shortens the times at which authorities vote, and
 * the authorities vouch for every relay at once instead of watching it for days.
 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { until } from './deadline.js'
import type { Lab } from './lab.js'
import type { Namespace } from './namespace.js'
import type { Child } from './process.js'
import { debianProgram } from './programs.js'

const run = promisify(execFile)

/** A vote needs a majority of them. */
const AUTHORITIES = 3
/** Circuits to onion services have six hops, none twice on one side; authorities are relays as well. */
const RELAYS = 4
export const SOCKS_PORT = 9050
/** Three votes, key agreement between all relays, and the service's descriptor take about a minute. */
const BOOTSTRAP_MS = 240_000

/** What every node has; see tor(1), "TESTING NETWORK OPTIONS". */
const COMMON = `TestingTorNetwork 1
RunAsDaemon 0
Log notice stdout
SafeLogging 0
ShutdownWaitLength 0
ProtocolWarnings 1
ControlPort 0
PathsNeededToBuildCircuits 0.67
ClientRejectInternalAddresses 0
`
const RELAY = `Address 127.0.0.1
AssumeReachable 1
ContactInfo nobody@tor.example
ExitRelay 1
ExitPolicyRejectPrivate 0
ExitPolicy accept *:*
`
const AUTHORITY = `AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
TestingV3AuthInitialVotingInterval 10
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 20
V3AuthVoteDelay 4
V3AuthDistDelay 4
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
`

export interface TorNetwork {
  /** The name of the onion service, `….onion`. */
  readonly onion: string
  /** The client's own words: what it thinks of circuits and of its callers. */
  readonly client: Child
}

export interface TorOptions {
  /** Where the client takes SOCKS. */
  readonly socksAddress: string
  /** The onion service's port, and where it leads. */
  readonly servicePort: number
  readonly serviceTarget: string
}

/** Starts all of it, and waits until the client has circuits. */
export async function torNetwork(
  lab: Lab,
  at: Namespace,
  { socksAddress, servicePort, serviceTarget }: TorOptions,
): Promise<TorNetwork> {
  const authorities: Authority[] = []
  for (let place = 0; place < AUTHORITIES; place += 1) {
    authorities.push(await prepareAuthority(lab, `auth${place}`, place))
  }
  const known = authorities.map(({ line }) => `DirAuthority ${line}\n`).join('')
  const start = async (name: string, config: string): Promise<Child> => {
    const folder = await folderOf(lab, name)
    const file = join(folder, 'torrc')
    await writeFile(file, `${COMMON}DataDirectory ${folder}\n${known}${config}`)
    return at.spawn([debianProgram('tor'), '--defaults-torrc', '/dev/null', '-f', file])
  }
  for (const { name, config } of authorities) await start(name, config)
  for (let place = 0; place < RELAYS; place += 1) {
    await start(`relay${place}`, `Nickname relay${place}\nORPort ${5100 + place}\nSocksPort 0\n${RELAY}`)
  }
  const service = join(await folderOf(lab, 'service'), 'onion')
  await start(
    'service',
    `SocksPort 0\nHiddenServiceDir ${service}\nHiddenServicePort ${servicePort} ${serviceTarget}\n`,
  )
  const client = await start('client', `SocksPort ${socksAddress}:${SOCKS_PORT} ExtendedErrors\nSocksPolicy accept *\n`)
  await client.line(/Bootstrapped 100%/, { deadlineMs: BOOTSTRAP_MS })

  let onion = ''
  await until('the name of the onion service', 10_000, async () => {
    onion = (await readFile(join(service, 'hostname'), 'utf8').catch(() => '')).trim()
    return onion !== ''
  })
  return { onion, client }
}

interface Authority {
  readonly name: string
  readonly config: string
  /** How others know it. */
  readonly line: string
}

/** An authority's keys are made beforehand, because everybody's configuration names their fingerprints. */
async function prepareAuthority(lab: Lab, name: string, place: number): Promise<Authority> {
  const [orPort, dirPort] = [5000 + place, 7500 + place]
  const folder = await folderOf(lab, name)
  const keys = join(folder, 'keys')
  await mkdir(keys, { mode: 0o700 })
  const certificate = join(keys, 'authority_certificate')
  const gencert = run(debianProgram('tor-gencert'), [
    ...['--create-identity-key', '-m', '12', '-a', `127.0.0.1:${dirPort}`, '--passphrase-fd', '0'],
    ...['-i', join(keys, 'authority_identity_key'), '-s', join(keys, 'authority_signing_key'), '-c', certificate],
  ])
  gencert.child.stdin?.end('passphrase\n')
  await gencert
  const identity = /^fingerprint (\w+)$/m.exec(await readFile(certificate, 'utf8'))?.[1] ?? ''
  const config = `Nickname ${name}\nORPort ${orPort}\nDirPort ${dirPort}\nSocksPort 0\n${RELAY}${AUTHORITY}`
  const torrc = join(folder, 'fingerprint.torrc')
  // Any authority will do: this Tor only makes its keys and says their fingerprint.
  const anybody = `DirAuthority nobody 127.0.0.1:1 ${'F'.repeat(40)}\n`
  await writeFile(
    torrc,
    `TestingTorNetwork 1\nDataDirectory ${folder}\n${anybody}Nickname ${name}\nORPort ${orPort}\n${RELAY}`,
  )
  const { stdout } = await run(debianProgram('tor'), [
    ...['--defaults-torrc', '/dev/null', '-f', torrc, '--list-fingerprint', '--quiet'],
  ])
  const fingerprint = new RegExp(`^${name} ((?:\\w{4} ?){10})$`, 'm').exec(stdout)?.[1]?.replaceAll(' ', '') ?? ''
  if (identity === '' || fingerprint === '') throw new Error(`no fingerprints of ${name}: ${stdout}`)
  return {
    name,
    config,
    line: `${name} orport=${orPort} no-v2 v3ident=${identity} 127.0.0.1:${dirPort} ${fingerprint}`,
  }
}

async function folderOf(lab: Lab, name: string): Promise<string> {
  const folder = await lab.path(`tor-${name}`)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

/**
 * The text of a systemd unit that runs one tunnel with the least that it needs. Pure: what is known of the tunnel and
 * the machine goes in, the text comes out; docs/SERVICE.md says why each line is there.
 */

import { dirname } from 'node:path'

/** Below it a port needs CAP_NET_BIND_SERVICE. */
const FIRST_FREE_PORT = 1024
/** Seconds without a sign of life after which the service manager restarts the tunnel. */
const WATCHDOG_SECONDS = 30
/** Seconds for an end without hooks, which takes less than one. */
const END_SECONDS = 10
/** The first line; what begins otherwise was not written by us. */
export const MARK = '# Written by zportal service install'

/** What a unit is made of. */
export interface UnitFacts {
  /** Name of the config, and of the instance. */
  readonly name: string
  readonly version: string
  /** Absolute paths of Node and of our own program. */
  readonly node: string
  readonly program: string
  /** What our program is part of. */
  readonly packageFolder: string
  readonly config: {
    /** Absolute. */
    readonly path: string
    /** Whether everybody may read it; else systemd reads it and passes a copy. */
    readonly isPublic: boolean
  }
  readonly role: 'server' | 'client'
  /** The port that a server listens on. */
  readonly port: number | undefined
  /** Unix sockets that are made or connected to. */
  readonly socketPaths: readonly string[]
  /** Names of the credentials that the config refers to. */
  readonly credentials: readonly { readonly name: string; readonly path: string }[]
  /** Whether programs are run on the tunnel's events. */
  readonly hasHooks: boolean
  /** Time that the one at the end may take. */
  readonly hookSeconds: number
}

export function unitName(name: string): string {
  return `zportal@${name}.service`
}

export function unitText(facts: UnitFacts): string {
  const { name, version, role, hookSeconds } = facts
  return `${[
    `${MARK} ${name} (zportal ${version}). What you change is lost when it is installed`,
    `# again: put it into a drop-in (systemctl edit ${unitName(name)}). Why each line: docs/SERVICE.md.`,
    '[Unit]',
    `Description=ZPortal tunnel ${escape(name)}`,
    'Wants=network-online.target',
    'After=network-online.target',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=notify',
    'NotifyAccess=main',
    ...run(facts),
    // A client tries until its peer is there, and no time limit knows better.
    ...(role === 'client' ? ['TimeoutStartSec=infinity'] : []),
    `TimeoutStopSec=${END_SECONDS + hookSeconds}`,
    `WatchdogSec=${WATCHDOG_SECONDS}`,
    'Restart=on-failure',
    'RestartSec=2',
    '# 2: the config is wrong. Trying it again cannot help.',
    'RestartPreventExitStatus=2',
    '',
    ...user(facts),
    '',
    ...fences(facts),
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ].join('\n')}\n`
}

function run({ name, node, program, config, credentials }: UnitFacts): string[] {
  const up = [node, program, 'up', '-f'].map(word).join(' ')
  const secrets = [
    ...credentials.map((credential) => `LoadCredential=${escape(`${credential.name}:${credential.path}`)}`),
    '# Variables that the config refers to as ${env:NAME}, readable by root alone if you like.',
    `EnvironmentFile=-${escape(config.path.replace(/(\.toml)?$/, '.env'))}`,
  ]
  return config.isPublic
    ? [`ExecStart=${up} ${word(config.path)}`, 'ExecReload=/bin/kill -HUP $MAINPID', ...secrets]
    : [
        '# Others may not read the config, so systemd reads it and passes a copy: a change needs a restart.',
        `LoadCredential=${escape(`${name}.toml:${config.path}`)}`,
        `ExecStart=${up} \${CREDENTIALS_DIRECTORY}/${escape(name)}.toml`,
        ...secrets,
      ]
}

function user({ port }: UnitFacts): string[] {
  const capabilities = ['CAP_NET_ADMIN']
  if (port !== undefined && port > 0 && port < FIRST_FREE_PORT) capabilities.push('CAP_NET_BIND_SERVICE')
  return [
    '# A user of its own, the same for all tunnels, who has nothing but this.',
    'DynamicUser=yes',
    'User=zportal',
    `AmbientCapabilities=${capabilities.join(' ')}`,
    `CapabilityBoundingSet=${capabilities.join(' ')}`,
    'NoNewPrivileges=yes',
    'RuntimeDirectory=zportal',
    '# Other tunnels have their sockets there too.',
    'RuntimeDirectoryPreserve=yes',
    '# Kernels before 5.12 count io_uring as locked memory.',
    'LimitMEMLOCK=64M',
    'UMask=0077',
  ]
}

function fences({ node, program, packageFolder, config, socketPaths, hasHooks }: UnitFacts): string[] {
  const isUnder = (path: string, ...folders: string[]) => folders.some((folder) => path.startsWith(`${folder}/`))
  const isAtHome = [node, program, ...socketPaths].some((path) => isUnder(path, '/home', '/root', '/run/user'))
  // A service has /tmp of its own: of the machine's it sees what is asked for, as in a clone that lies there.
  const shown = [dirname(node), packageFolder, dirname(config.path)].filter((path) => isPrivate(`${path}/`))
  const folders = [...new Set(socketPaths.map((path) => path.replace(/\/[^/]*$/, '') || '/'))]
  const outside = folders.filter((folder) => folder !== '/run/zportal')
  return [
    'ProtectSystem=strict',
    ...outside.map((folder) => `ReadWritePaths=-${escape(folder)}`),
    `ProtectHome=${isAtHome ? 'read-only' : 'yes'}`,
    'PrivateTmp=yes',
    ...[...new Set(shown)].map((path) => `BindReadOnlyPaths=${escape(path)}`),
    'DevicePolicy=closed',
    'DeviceAllow=/dev/net/tun rw',
    'ProtectProc=invisible',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'KeyringMode=private',
    'RemoveIPC=yes',
    '# No MemoryDenyWriteExecute=: V8 compiles JavaScript to machine code while it runs.',
    'SystemCallArchitectures=native',
    `SystemCallFilter=@system-service io_uring_setup io_uring_enter io_uring_register`,
    ...(hasHooks ? [] : ['SystemCallFilter=~@privileged @resources']),
    'SystemCallErrorNumber=EPERM',
  ]
}

/** Whether a service has a folder of its own in its place. */
export function isPrivate(path: string): boolean {
  return ['/tmp/', '/var/tmp/'].some((folder) => path.startsWith(folder))
}

/** One word of a command line, as systemd.service(5) reads it. */
function word(text: string): string {
  return /^[\w@:,.+/-]+$/.test(text)
    ? text
    : `"${escape(text)
        .replace(/(["\\])/g, '\\$1')
        .replaceAll('$', '$$$$')}"`
}

/** Text in which systemd sees no specifier (systemd.unit(5)). */
function escape(text: string): string {
  return text.replaceAll('%', '%%')
}

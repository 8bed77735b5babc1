/** What /proc, /dev and /lib/modules say, as values. Nothing is judged here. */

import { lstatSync, openSync, readFileSync, closeSync } from 'node:fs'
import { connect } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'
import { networkInterfaces, release } from 'node:os'
import type { SystemRoute } from './routes.js'
import { parseRoutes } from './routes.js'

/** CAP_NET_ADMIN of linux/capability.h. */
const NET_ADMIN_BIT = 12n

/** What is known of the machine and of this process. */
export interface MachineFacts {
  /** As `uname -r` says it. */
  readonly release: string
  /** Whether CAP_NET_ADMIN is among the effective capabilities. */
  readonly netAdmin: boolean
  /** Whether a seccomp filter is on this process. */
  readonly seccomp: boolean
  /** The sysctl kernel.io_uring_disabled; undefined where the kernel has none (before 6.6). */
  readonly ioUringDisabled: string | undefined
  /** The soft limit of locked memory, in bytes or `unlimited`. */
  readonly memlock: string
  /** Why /dev/net/tun cannot be opened (`ENOENT`); undefined where it can. */
  readonly tunRefusal: string | undefined
  /** The congestion controls that the kernel has loaded. */
  readonly congestion: readonly string[]
  /** Whether new devices have IPv6. */
  readonly ipv6: boolean
}

export function machineFacts(): MachineFacts {
  const status = read('/proc/self/status')
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  const limits = read('/proc/self/limits')
  const disabled = read('/proc/sys/kernel/io_uring_disabled').trim()
  return {
    release: release(),
    netAdmin: ((BigInt(`0x${capabilities}`) >> NET_ADMIN_BIT) & 1n) === 1n,
    seccomp: /^Seccomp:\s*[12]$/m.test(status),
    ioUringDisabled: disabled === '' ? undefined : disabled,
    memlock: /^Max locked memory\s+(\S+)/m.exec(limits)?.[1] ?? 'unknown',
    tunRefusal: whyNotOpen('/dev/net/tun'),
    congestion: read('/proc/sys/net/ipv4/tcp_available_congestion_control').trim().split(/\s+/),
    ipv6: read('/proc/sys/net/ipv6/conf/default/disable_ipv6').trim() === '0',
  }
}

/** Whether the kernel could load a module for that congestion control, or has it built in. */
export function hasCongestionModule(release: string, name: string): boolean {
  const module = `/tcp_${name}.ko`
  return ['modules.dep', 'modules.builtin'].some((file) => read(`/lib/modules/${release}/${file}`).includes(module))
}

/** The addresses of this machine's interfaces, each with its interface. */
export function interfaceAddresses(): readonly (NetworkInterfaceInfo & { readonly device: string })[] {
  return Object.entries(networkInterfaces()).flatMap(([device, infos = []]) =>
    infos.map((info) => ({ ...info, device })),
  )
}

/** The routes of the main table, and for IPv6 of the others with them. */
export function systemRoutes(): SystemRoute[] {
  return parseRoutes(read('/proc/net/route'), read('/proc/net/ipv6_route'))
}

/** What is at a path where a Unix socket is to be. */
export type UnixPathState = 'free' | 'stale' | 'in use' | 'no socket'

export async function unixPathState(path: string): Promise<UnixPathState> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return 'free'
  if (!found.isSocket()) return 'no socket'
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve('in use')
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED' ? 'stale' : error.code === 'ENOENT' ? 'free' : 'in use')
    })
  })
}

function whyNotOpen(path: string): string | undefined {
  try {
    closeSync(openSync(path, 'r+'))
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

/** The file's text; empty where it cannot be read, which in /proc means that the kernel has no such thing. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

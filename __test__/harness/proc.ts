/** What the kernel knows of a process, in /proc (proc(5)): for what programs do not say themselves. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

import { until } from './deadline.js'
import type { Child } from './process.js'

/** The state of a listening socket in /proc/net/tcp (include/net/tcp_states.h). */
const TCP_LISTEN = '0A'

/** Waits until a process listens on a TCP port. */
export async function listening(child: Child, port: number, deadlineMs = 5000): Promise<void> {
  await until(`${child.command} listens on port ${port}`, deadlineMs, () => {
    if (!child.running) throw new Error(`it ended\n${child.report()}`)
    return listens(child.pid, port)
  })
}

/** /proc/PID/net shows the namespace of that process; the inodes among its descriptors are its own. */
function listens(pid: number, port: number): boolean {
  const own = new Set(socketInodes(pid))
  return ['tcp', 'tcp6'].some((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .some(
        ([, local, , state, , , , , , inode]) =>
          state === TCP_LISTEN && Number.parseInt(local?.split(':')[1] ?? '', 16) === port && own.has(inode ?? ''),
      ),
  )
}

function socketInodes(pid: number): string[] {
  return descriptors(pid).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [])
}

/** What each open file descriptor of a process refers to. */
export function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return [] // Closed between the two looks.
    }
  })
}

/**
 * How long the main thread of a process was ready to run and another had the processor, in
 * milliseconds: what a busy machine adds to a time, and the program cannot help.
 */
export function queuedMs(pid: number): number {
  const [, queuedNs = '0'] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')
  return Number(queuedNs) / 1e6
}

/** The names of a process's threads, those that the kernel has started for it included (io_uring's `iou-wrk-…`). */
export function threadNames(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return [readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim()]
    } catch {
      return [] // Ended between the two looks.
    }
  })
}

/** The most memory that a process has had resident since it started (VmHWM), in bytes. */
export function peakResidentBytes(pid: number): number {
  const [, kilobytes = ''] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

/**
 * Below this address Node's V8 maps the pages of its own heap, at random places (`OS::GetRandomMmapAddr`), and the
 * kernel nothing for anybody else but the program itself.
 */
const V8_PAGES_BELOW = 0x4000_0000_0000

/** What a process holds of the machine; what grows from one look to a later one is a leak. */
export interface Footprint {
  descriptors: number
  threads: number
  /** Without the pages of V8's heap, which come and go with its fragmentation. */
  mappings: number
  residentKib: number
}

export function footprint(pid: number): Footprint {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    mappings: mappings(pid),
    residentKib: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]),
  }
}

function mappings(pid: number): number {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n')
  return lines.filter((line) => {
    const [range = '', , , , , name = ''] = line.split(/\s+/)
    const start = Number.parseInt(range, 16)
    return name !== '' || start >= V8_PAGES_BELOW
  }).length
}

/**
 * A network namespace: one host of a topology. Its addresses come from the blocks reserved for
 * documentation (RFC 5737, RFC 3849), and no route leads out of it.
 */
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'

import type { Lab } from './lab.js'
import type { Child, ChildOptions } from './process.js'

const run = promisify(execFile)

/** What the kernel counts for a device; see `ip -s link`. Received is what a TUN's owner wrote into it. */
export interface DeviceCounters {
  received: { packets: number; bytes: number; errors: number; dropped: number }
  sent: { packets: number; bytes: number; errors: number; dropped: number }
}

interface IpLink {
  ifname: string
  mtu: number
  flags: string[]
  linkinfo?: { info_kind?: string }
  addr_info?: { local: string; prefixlen: number; scope: string }[]
  stats64: Record<'rx' | 'tx', { packets: number; bytes: number; errors: number; dropped: number }>
}

export class Namespace {
  readonly name: string
  readonly #lab: Lab

  private constructor(lab: Lab, name: string) {
    this.#lab = lab
    this.name = name
  }

  static async create(lab: Lab, name: string): Promise<Namespace> {
    const namespace = new Namespace(lab, `${lab.owner}-${name}`)
    await ip('netns', 'add', namespace.name)
    await namespace.ip('link', 'set', 'lo', 'up')
    // A host of a topology forwards only where the drawing says so, whatever this machine inherits.
    await namespace.run('sh', '-c', 'echo 0 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding')
    return namespace
  }

  /** `ip` inside this namespace. */
  async ip(...args: string[]): Promise<string> {
    return ip('-n', this.name, ...args)
  }

  /** Runs a program inside to its end and gives its standard output; fails unless it exits with 0. */
  async run(...command: string[]): Promise<string> {
    return (await run('ip', ['netns', 'exec', this.name, ...command])).stdout
  }

  /** Starts a program inside. */
  spawn(command: readonly string[], options: Omit<ChildOptions, 'owner'> = {}): Child {
    return this.#lab.spawn(['ip', 'netns', 'exec', this.name, ...command], options)
  }

  /** Gives a device addresses and brings it up. IPv6 without DAD: usable at once. */
  async address(device: string, ...addresses: string[]): Promise<void> {
    for (const address of addresses) {
      await this.ip('address', 'add', address, 'dev', device, ...(address.includes(':') ? ['nodad'] : []))
    }
    await this.ip('link', 'set', device, 'up')
  }

  /** Lets programs started inside after this resolve these names: `{ 'server.example': ['192.0.2.1'] }`. */
  async hosts(names: Record<string, string[]>): Promise<void> {
    const lines = Object.entries(names).flatMap(([name, addresses]) =>
      addresses.map((address) => `${address} ${name}\n`),
    )
    await this.#inEtc('hosts', lines.join(''))
  }

  /** Lets programs started inside after this ask that name server for what they do not find there. */
  async nameServer(address: string): Promise<void> {
    await this.#inEtc('resolv.conf', `nameserver ${address}\n`)
  }

  /** The names of the TUN devices inside. */
  async tuns(): Promise<string[]> {
    const links = await this.#links('link')
    return links.filter((link) => link.linkinfo?.info_kind === 'tun').map((link) => link.ifname)
  }

  /** The global addresses of a device, with their prefix lengths, in the kernel's order. */
  async addresses(device: string): Promise<string[]> {
    const links = await this.#links('address')
    const link = links.find(({ ifname }) => ifname === device)
    return (link?.addr_info ?? [])
      .filter(({ scope }) => scope === 'global')
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
  }

  async mtu(device: string): Promise<number | undefined> {
    return (await this.#links('link')).find(({ ifname }) => ifname === device)?.mtu
  }

  async counters(device: string): Promise<DeviceCounters> {
    const link = (await this.#links('link')).find(({ ifname }) => ifname === device)
    if (!link) throw new Error(`there is no device ${device} in ${this.name}`)
    return { received: link.stats64.rx, sent: link.stats64.tx }
  }

  /** Its number, as in /proc/PID/ns/net. */
  get inode(): number {
    return statSync(`/run/netns/${this.name}`).ino
  }

  async delete(): Promise<void> {
    await ip('netns', 'delete', this.name)
    await run('rm', ['-rf', `/etc/netns/${this.name}`])
  }

  /** What programs started inside after this see in the place of that file of /etc (ip-netns(8)). */
  async #inEtc(file: string, text: string): Promise<void> {
    await mkdir(`/etc/netns/${this.name}`, { recursive: true })
    await writeFile(`/etc/netns/${this.name}/${file}`, text)
  }

  async #links(what: 'link' | 'address'): Promise<IpLink[]> {
    return JSON.parse(await this.ip('-json', '-details', '-statistics', what, 'show')) as IpLink[]
  }
}

/** Joins two namespaces by a veth pair; each end gets its addresses. Device names are per namespace. */
export async function join(
  a: { namespace: Namespace; device: string; addresses: string[] },
  b: { namespace: Namespace; device: string; addresses: string[] },
): Promise<void> {
  await ip(
    ...['link', 'add', a.device, 'netns', a.namespace.name, 'type', 'veth'],
    ...['peer', 'name', b.device, 'netns', b.namespace.name],
  )
  for (const { namespace, device, addresses } of [a, b]) {
    await namespace.address(device, ...addresses)
  }
}

async function ip(...args: string[]): Promise<string> {
  return (await run('ip', args)).stdout
}

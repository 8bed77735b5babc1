/** Where the two ends of a tunnel can meet inside it. Pure, but for {@link addressesOn}. */

import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

/** An address of a device, with its network: `10.10.0.1/24`. */
export type Cidr = string

/** The addresses of a device that is up, those that others can reach first. */
export function addressesOn(device: string): Cidr[] {
  const all = (networkInterfaces()[device] ?? []).map(({ cidr }) => cidr).filter((cidr) => cidr !== null)
  return [...all.filter((cidr) => !isLinkLocal(cidr)), ...all.filter(isLinkLocal)]
}

/** An address without its prefix length or zone. */
export function hostOf(address: string): string {
  return address.replace(/[/%].*$/, '')
}

/** As a program has to write it: an address that holds on one link only needs the device's name. */
export function withZone(address: string, device: string): string {
  return isLinkLocal(address) ? `${address}%${device}` : address
}

/**
 * Which of an end's addresses one who has those others can reach: one in a common network, or on the link itself, or
 * any of the same family that routes may lead to.
 */
export function meetingPlace(own: readonly Cidr[], from: readonly string[]): string | undefined {
  const shared = own.find((cidr) => !isLinkLocal(cidr) && from.some((address) => isWithin(cidr, address)))
  const onLink = from.some(isLinkLocal) ? own.find(isLinkLocal) : undefined
  const routed = own.find(
    (cidr) => !isLinkLocal(cidr) && from.some((address) => !isLinkLocal(address) && family(address) === family(cidr)),
  )
  const found = shared ?? onLink ?? routed
  return found === undefined ? undefined : hostOf(found)
}

function isWithin(cidr: Cidr, address: string): boolean {
  if (family(cidr) !== family(address)) return false
  const network = new BlockList()
  network.addSubnet(hostOf(cidr), Number(cidr.split('/')[1]), family(cidr))
  return network.check(address, family(address))
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address)
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(hostOf(address)) === 4 ? 'ipv4' : 'ipv6'
}

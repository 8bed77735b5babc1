/** A real SOCKS5 proxy without passwords. */
import { listening } from './listening.js'
import type { Namespace } from './namespace.js'
import type { Child } from './process.js'

export const SOCKS_PORT = 1080

/** Starts a proxy in a namespace and waits until it listens at that address. */
export async function microsocks(at: Namespace, address: string, port = SOCKS_PORT): Promise<Child> {
  const child = at.spawn(['microsocks', '-i', address, '-p', String(port)])
  await listening(child, port)
  return child
}

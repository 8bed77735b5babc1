/** A real SOCKS5 proxy. */
import { listening } from './proc.js'
import type { Namespace } from './namespace.js'
import type { Child } from './process.js'

export const SOCKS_PORT = 1080

/** Starts a proxy in a namespace and waits until it listens at that address; it asks for no password unless told to. */
export async function microsocks(
  at: Namespace,
  address: string,
  { port = SOCKS_PORT, password }: { port?: number; password?: string } = {},
): Promise<Child> {
  const credentials = password === undefined ? [] : ['-u', 'user', '-P', password]
  const child = at.spawn(['microsocks', '-i', address, '-p', String(port), ...credentials])
  await listening(child, port)
  return child
}

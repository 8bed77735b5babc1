/** Returns datagrams that begin with a token, to those who may know it. */

import { timingSafeEqual } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { hostOf } from './place.js'

/** Where, and for whom. */
export interface EchoPlace {
  readonly host: string
  readonly port: number
  readonly from: readonly string[]
  readonly token: string
}

/** Resolves once it returns what comes; goes on until its thread ends. */
export async function serveEcho({ host, port, from, token }: EchoPlace): Promise<void> {
  const expected = Buffer.from(token, 'hex')
  const socket = createSocket(isIP(hostOf(host)) === 6 ? 'udp6' : 'udp4')
  socket.on('message', (message, sender) => {
    const shown = message.subarray(0, expected.length)
    if (shown.length < expected.length || !timingSafeEqual(shown, expected)) return
    // As large as what came, so nobody gains by having it sent to somebody else.
    if (from.includes(hostOf(sender.address))) socket.send(message, sender.port, sender.address, () => undefined)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.off('error', reject)
      socket.on('error', () => undefined)
      resolve()
    })
  })
}

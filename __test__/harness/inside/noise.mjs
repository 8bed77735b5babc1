/**
 * A crowd of strangers that speak no protocol, run inside a namespace.
 *
 *     node noise.mjs ADDRESS PORT CONNECTIONS BYTES SEED
 *
 * Opens all connections at once, writes seeded noise on each, and ends when the other side has ended
 * them all. Prints {"connected":…,"ended":…}.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { connect } from 'node:net'

const [host, port, connections, bytes, seed] = process.argv.slice(2)

const outcomes = await Promise.all(Array.from({ length: Number(connections) }, (_, index) => shout(index)))
console.log(
  JSON.stringify({
    connected: outcomes.filter(({ connected }) => connected).length,
    ended: outcomes.length,
  }),
)

/** One connection, from its start until it is closed, however that happens. */
function shout(index) {
  const key = createHash('sha256').update(`${seed}/${index}`).digest().subarray(0, 16)
  const noise = createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(Number(bytes)))
  return new Promise((resolve) => {
    let connected = false
    const socket = connect(Number(port), host, () => {
      connected = true
      socket.write(noise)
    })
    // A refusal is mostly a reset, because unread noise is still on its way.
    socket.on('error', () => {})
    socket.on('close', () => resolve({ connected }))
    socket.resume()
  })
}

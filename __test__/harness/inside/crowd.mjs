/**
 * A crowd at a server's door, run inside a namespace.
 *
 *     node crowd.mjs ADDRESS PORT CONNECTIONS AT_ONCE HELLO
 *
 * Opens so many connections, so many at a time, of five kinds in turn: noise, half a header and then silence, silence
 * from the start, the HELLO of a stranger (a whole frame in hexadecimal), and such as are gone again at once. Prints {"connected":…,"refused":…} when the other side has ended them all; refused are
 * those that heard a word before that.
 */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

const [host, port, connections, atOnce, hello] = process.argv.slice(2)

const KINDS = {
  noise: (socket) => socket.write(randomBytes(4096)),
  half: (socket) => socket.write(Buffer.from('5a505254', 'hex')),
  silent: () => undefined,
  stranger: (socket) => socket.write(Buffer.from(hello, 'hex')),
  gone: (socket) => socket.resetAndDestroy(),
}

let begun = 0
let connected = 0
let refused = 0
await Promise.all(Array.from({ length: Number(atOnce) }, comeAndGo))
console.log(JSON.stringify({ connected, refused }))

async function comeAndGo() {
  const kinds = Object.values(KINDS)
  while (begun < Number(connections)) {
    begun += 1
    await once(kinds[begun % kinds.length])
  }
}

/** One connection, until it is closed, however that happens. */
function once(act) {
  return new Promise((resolve) => {
    let heard = false
    const socket = connect(Number(port), host, () => {
      connected += 1
      act(socket)
    })
    socket.on('error', () => {})
    socket.on('data', () => (heard = true))
    socket.on('close', () => {
      if (heard) refused += 1
      resolve()
    })
  })
}

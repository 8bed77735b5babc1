/**
 * Traffic every byte of which is known beforehand, so that one that was changed, lost inside a packet or torn off is
 * seen; run inside a namespace.
 *
 *     node marked.mjs receive ADDRESS      prints {"port":…}, and for each line of input {"datagrams":…,"bytes":…,"wrong":…}
 *     node marked.mjs send ADDRESS PORT    datagrams of all sizes and one TCP stream, until it is ended
 *
 * A datagram begins with its number and its size; the rest of it, and the stream, are pieces of one table. What is lost
 * as a whole is no matter here: the tunnel may lose datagrams, and TCP sends again.
 */
import { createCipheriv } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

const TABLE_BYTES = 65_536
const NOISE = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(TABLE_BYTES))
/** Twice, so that a piece may begin anywhere in it. */
const TABLE = Buffer.concat([NOISE, NOISE])

const HEADER_BYTES = 8
const LARGEST_BYTES = 1300
/** About 50 Mbit/s of datagrams, and as much in the stream, in a rhythm that timers keep. */
const BEAT_MS = 4
const DATAGRAMS_PER_BEAT = 32
const STREAM_BYTES_PER_BEAT = 25_000

const [role, address, port] = process.argv.slice(2)
if (role === 'receive') receive()
else send()

/** The bytes of the stream from a place on, or behind a datagram's header by its number. */
function table(place, bytes) {
  const start = place % TABLE_BYTES
  return TABLE.subarray(start, start + bytes)
}

function receive() {
  const seen = { datagrams: 0, bytes: 0, wrong: 0 }
  const server = createServer((socket) => {
    let place = 0
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (let start = 0; start < chunk.length; start += TABLE_BYTES) {
        const piece = chunk.subarray(start, start + TABLE_BYTES)
        if (!piece.equals(table(place, piece.length))) seen.wrong += 1
        place += piece.length
      }
      seen.bytes += chunk.length
    })
  }).listen(0, address, () => {
    const { port } = server.address()
    const datagrams = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 })
    datagrams.on('message', (datagram) => {
      const isWhole = datagram.length >= HEADER_BYTES && datagram.readUInt32BE(4) === datagram.length
      const rest = datagram.subarray(HEADER_BYTES)
      if (isWhole && rest.equals(table(datagram.readUInt32BE(0), rest.length))) seen.datagrams += 1
      else seen.wrong += 1
    })
    datagrams.bind(port, address, () => console.log(JSON.stringify({ port })))
  })
  createInterface({ input: process.stdin }).on('line', () => console.log(JSON.stringify(seen)))
}

function send() {
  const datagrams = createSocket('udp4')
  // Whatever the network says of itself meanwhile: the tunnel is away now and then.
  datagrams.on('error', () => {})
  let number = 0
  let place = 0
  const stream = connect(Number(port), address, () => console.log('connected'))
  stream.on('error', () => {})
  setInterval(() => {
    for (let count = 0; count < DATAGRAMS_PER_BEAT; count += 1) {
      number = (number + 1) % 0xffffffff
      const bytes = HEADER_BYTES + ((number * 7919) % (LARGEST_BYTES - HEADER_BYTES + 1))
      const datagram = Buffer.alloc(bytes)
      datagram.writeUInt32BE(number, 0)
      datagram.writeUInt32BE(bytes, 4)
      table(number, bytes - HEADER_BYTES).copy(datagram, HEADER_BYTES)
      datagrams.send(datagram, Number(port), address, () => {})
    }
    if (stream.writableNeedDrain) return
    stream.write(table(place, STREAM_BYTES_PER_BEAT))
    place += STREAM_BYTES_PER_BEAT
  }, BEAT_MS)
}

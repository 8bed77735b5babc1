/**
 * Data that never ends, run inside the namespaces of the bench until it is ended:
 *
 *     node pour.mjs drink ADDRESS          prints "drinking", and reads a TCP stream
 *     node pour.mjs pour ADDRESS           writes that stream
 *     node pour.mjs flood ADDRESS MBIT     sends datagrams at that rate, whoever reads them
 */
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

const PORT = 5202
const PIECE = Buffer.alloc(64 * 1024)
/** Fits the tunnel's MTU of 1400 bytes. */
const DATAGRAM = Buffer.alloc(1300)
/** How often the flood catches up with its rate, in milliseconds. */
const EVERY_MS = 2

const [verb, address, rate] = process.argv.slice(2)
;({ drink, pour, flood: () => flood(Number(rate)) })[verb]()

function drink() {
  const server = createServer((socket) => socket.on('error', () => {}).resume())
  server.listen(PORT, address, () => console.log('drinking'))
}

function pour() {
  const socket = connect(PORT, address)
  const write = () => {
    while (socket.write(PIECE)) continue
  }
  socket.on('connect', write).on('drain', write)
}

function flood(mbit) {
  const socket = createSocket('udp4')
  // What cannot be sent, for want of room, was never offered to the tunnel: the device's counters tell.
  socket.on('error', () => {})
  socket.bind(0, () => {
    const startedAt = performance.now()
    let sent = 0
    setInterval(() => {
      const due = ((performance.now() - startedAt) / 1000) * ((mbit * 1e6) / 8 / DATAGRAM.length)
      for (; sent < due; sent += 1) socket.send(DATAGRAM, PORT, address, () => {})
    }, EVERY_MS)
  })
}

/**
 * A name server (RFC 1035) that knows IPv4 addresses only, and says `asked NAME` for each question for one. What it
 * knows it is told on standard input, a line a name, and may be told anew; it says `told` then.
 *
 *     node names.mjs ADDRESS < "NAME IPV4" lines
 */
import { createSocket } from 'node:dgram'
import { createInterface } from 'node:readline'

const HEADER_BYTES = 12
const TYPE_A = 1
/** A response to a recursive question, without an error. */
const ANSWERED = 0x8180
/** The name of the question once more, type A, class IN, not to be remembered, four bytes. */
const RECORD = Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4])

const [address] = process.argv.slice(2)
const known = new Map()

createInterface({ input: process.stdin }).on('line', (line) => {
  known.set(...line.split(' '))
  console.log('told')
})

const socket = createSocket('udp4')
socket.on('message', (message, from) => {
  const labels = []
  let at = HEADER_BYTES
  for (let bytes = message[at]; bytes > 0; bytes = message[at]) {
    labels.push(message.toString('latin1', at + 1, at + 1 + bytes))
    at += 1 + bytes
  }
  const name = labels.join('.')
  const isAddress = message.readUInt16BE(at + 1) === TYPE_A
  if (isAddress) console.log(`asked ${name}`)
  const ipv4 = isAddress ? known.get(name) : undefined
  const header = Buffer.alloc(HEADER_BYTES)
  message.copy(header, 0, 0, 2)
  for (const [place, value] of [ANSWERED, 1, ipv4 === undefined ? 0 : 1].entries()) {
    header.writeUInt16BE(value, 2 + 2 * place)
  }
  const question = message.subarray(HEADER_BYTES, at + 5)
  const record = ipv4 === undefined ? [] : [RECORD, Buffer.from(ipv4.split('.').map(Number))]
  socket.send(Buffer.concat([header, question, ...record]), from.port, from.address)
})
socket.bind(53, address, () => console.log('ready'))

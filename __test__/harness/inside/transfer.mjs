/**
 * One end of a checked transfer over TCP, run inside a namespace.
 *
 *     node transfer.mjs receive ADDRESS            prints {"port":…}, then {"bytes":…,"sha256":…}
 *     node transfer.mjs send ADDRESS PORT BYTES SEED         prints {"bytes":…,"sha256":…}
 *
 * The data is the AES-CTR key stream of the seed: nothing in it repeats or compresses, and a failure
 * can be repeated. Each end hashes what it itself saw.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const CHUNK_BYTES = 256 * 1024

const [role, address, ...rest] = process.argv.slice(2)
if (role === 'receive') await receive(address)
else if (role === 'send') await send(address, Number(rest[0]), Number(rest[1]), rest[2])
else throw new Error(`role ${role} is neither receive nor send`)

async function receive(host) {
  const server = createServer({ allowHalfOpen: true }).listen(0, host)
  await once(server, 'listening')
  console.log(JSON.stringify({ port: server.address().port }))
  const [socket] = await once(server, 'connection')
  server.close()
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of socket) {
    hash.update(chunk)
    bytes += chunk.length
  }
  // Only now does the sender learn that the last byte was read.
  socket.end()
  console.log(JSON.stringify({ bytes, sha256: hash.digest('hex') }))
}

async function send(host, port, total, seed) {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16)
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
  const zeros = Buffer.alloc(CHUNK_BYTES)
  const socket = connect({ host, port, allowHalfOpen: true })
  await once(socket, 'connect')
  const hash = createHash('sha256')
  for (let sent = 0; sent < total; sent += CHUNK_BYTES) {
    const chunk = stream.update(zeros.subarray(0, Math.min(CHUNK_BYTES, total - sent)))
    hash.update(chunk)
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.end()
  socket.resume()
  await once(socket, 'end')
  console.log(JSON.stringify({ bytes: total, sha256: hash.digest('hex') }))
}

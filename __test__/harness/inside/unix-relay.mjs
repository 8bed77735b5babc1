/** Passes each connection to a Unix socket on to a TCP address: `unix-relay.mjs PATH HOST PORT`. */
import { connect, createServer } from 'node:net'
import process, { argv, exit } from 'node:process'

const [path, host, port] = argv.slice(2)

const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ host, port: Number(port), allowHalfOpen: true })
  for (const [from, to] of [
    [near, far],
    [far, near],
  ]) {
    from.on('error', () => to.destroy())
    from.pipe(to)
  }
})
server.listen(path, () => console.log('listening'))
// The socket's file goes with the server.
process.on('SIGTERM', () => {
  server.close()
  exit(0)
})

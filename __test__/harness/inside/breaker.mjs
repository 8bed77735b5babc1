/**
 * A piece of cable that can be broken: passes connections on to another port of this host, and ends all of them when it
 * is sent SIGUSR2. Says `broken` each time, with how many there were.
 *
 *     node breaker.mjs ADDRESS PORT TO_PORT
 */
import { connect, createServer } from 'node:net'

const [address, port, toPort] = process.argv.slice(2)
const ends = new Set()

createServer((incoming) => {
  const outgoing = connect(Number(toPort), address)
  for (const [one, other] of [
    [incoming, outgoing],
    [outgoing, incoming],
  ]) {
    ends.add(one)
    one.on('error', () => undefined)
    one.on('close', () => {
      ends.delete(one)
      other.destroy()
    })
    one.pipe(other)
  }
}).listen(Number(port), address, () => console.log('ready'))

process.on('SIGUSR2', () => {
  console.log(`broken ${ends.size}`)
  for (const end of ends) end.destroy()
})

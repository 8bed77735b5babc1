/**
 * Squatters at a server's door, run inside a namespace.
 *
 *     node squat.mjs ADDRESS PORT COUNT SAYS
 *
 * Opens so many connections, sends what it says (hexadecimal, may be nothing) on each, prints `all connected`, then
 * `heard` once anything came over one of them, and ends when the other side has ended them all.
 */
import { connect } from 'node:net'

const [host, port, count, says] = process.argv.slice(2)

const squatters = Array.from({ length: Number(count) }, () => connect(Number(port), host))
const ended = squatters.map((squatter) => new Promise((resolve) => squatter.on('close', resolve)))
let hasHeard = false
for (const squatter of squatters) {
  squatter.on('error', () => {})
  squatter.on('data', () => {
    if (!hasHeard) console.log('heard')
    hasHeard = true
  })
}
await Promise.all(squatters.map((squatter) => new Promise((resolve) => squatter.once('connect', resolve))))
for (const squatter of squatters) squatter.write(Buffer.from(says, 'hex'))
console.log('all connected')
await Promise.all(ended)

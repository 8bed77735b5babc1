/**
 * Somebody who rarely asks, and somebody who answers, run inside the namespaces of the bench:
 *
 *     node lookups.mjs answer ADDRESS                               prints "answering", and answers until it is ended
 *     node lookups.mjs ask ADDRESS COUNT EVERY_MS PATIENCE_MS       prints {"meanMs":…,"maxMs":…,"lost":…}
 *
 * Each question comes from a port of its own, as a resolver's do: to a queue it is a flow that it never saw before.
 */
import { createSocket } from 'node:dgram'
import { setTimeout as pause } from 'node:timers/promises'

const PORT = 5353
/** About a question and an answer of DNS. */
const QUESTION_BYTES = 48
const ANSWER_BYTES = 120

const [verb, address, ...numbers] = process.argv.slice(2)
if (verb === 'answer') answer()
else await ask(...numbers.map(Number))

function answer() {
  const socket = createSocket('udp4')
  socket.on('message', (_question, { address, port }) => socket.send(Buffer.alloc(ANSWER_BYTES), port, address))
  socket.bind(PORT, address, () => console.log('answering'))
}

async function ask(count, everyMs, patienceMs) {
  const startedAt = performance.now()
  const asked = []
  for (let number = 0; number < count; number += 1) {
    const dueMs = startedAt + number * everyMs - performance.now()
    if (dueMs > 0) await pause(dueMs)
    asked.push(once(patienceMs))
  }
  const all = await Promise.all(asked)
  const took = all.filter((ms) => ms !== undefined)
  const meanMs = took.length > 0 ? took.reduce((sum, ms) => sum + ms, 0) / took.length : undefined
  console.log(
    JSON.stringify({ meanMs, maxMs: took.length > 0 ? Math.max(...took) : undefined, lost: count - took.length }),
  )
}

function once(patienceMs) {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    const done = (ms) => {
      clearTimeout(late)
      socket.close()
      resolve(ms)
    }
    const late = setTimeout(done, patienceMs)
    let sentAt
    socket.on('error', reject)
    socket.on('message', () => done(performance.now() - sentAt))
    // Bound first: what it takes to get a port is none of the network's business.
    socket.bind(0, () => {
      sentAt = performance.now()
      socket.send(Buffer.alloc(QUESTION_BYTES), PORT, address)
    })
  })
}

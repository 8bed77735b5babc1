/**
 * A wire that goes wrong when told to, run inside a namespace.
 *
 *     node relay.mjs LISTEN TO        each `unix:/path` or `192.0.2.1:7000`
 *
 * Prints {"listening":true}, then {"connection":N} for each that comes. Each line of input is a fault, for the connections
 * that are there and those to come:
 *
 *     {"splitBytes":1}                pieces of at most so many bytes
 *     {"delayMs":20}                  each piece so much later
 *     {"stall":true}                  nothing passes any more, either way, and nobody hears of it
 *     {"farGone":true}                the far side is closed, the near side stays and is told nothing
 *     {"at":N,"do":"flip"}            the byte N of the way to the far side is another
 *     {"at":N,"do":"cut"|"reset"|"half"}  after N bytes to the far side: both ends closed, both reset, or only that way
 *     {"at":N,"do":…,"back":true}     the same on the way back
 *     {"now":"cut"}                   the connections that are there are closed; for those to come no fault, as with {}
 *
 * Prints {"struck":N} when a byte was reached, {"fault":…} when a line of input was obeyed.
 */
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

const [listen, to] = process.argv.slice(2)
let fault = {}
let count = 0
const links = new Set()

function place(text) {
  if (text.startsWith('unix:')) return { path: text.slice('unix:'.length) }
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}

const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ ...place(to), allowHalfOpen: true })
  const link = { near, far }
  links.add(link)
  count += 1
  console.log(JSON.stringify({ connection: count }))
  // However an end goes, it must not take this process with it.
  for (const end of [near, far]) end.on('error', () => {})
  // Whoever cannot be reached is refused, as the kernel would.
  far.once('error', () => near.readableFlowing === null && near.destroy())
  // Not before the far side is there: what waits for a connection could be neither cut nor reset.
  far.once('connect', () => {
    pass(link, near, far, true)
    pass(link, far, near, false)
    if (fault.farGone) far.destroy()
  })
})
// Also by a signal its socket's file goes with it.
process.on('SIGTERM', () => {
  server.close()
  process.exit(0)
})
server.listen(place(listen), () => console.log(JSON.stringify({ listening: true })))

/** Passes bytes one way, as the fault of the moment lets them. */
function pass(link, from, onto, isOutward) {
  let passed = 0
  let last = Promise.resolve()
  from.setNoDelay?.(true)
  from.on('data', (bytes) => {
    from.pause()
    last = last.then(() => forward(bytes)).then(() => from.resume())
  })
  from.on('end', () => void last.then(() => !isHeld() && onto.end()))
  from.on('close', () => {
    // One whose far side is gone may still be held at the near side.
    if (link.near.destroyed && link.far.destroyed) links.delete(link)
    if (!isHeld()) onto.destroy()
  })

  const isHeld = () => fault.stall || fault.farGone

  async function forward(bytes) {
    for (let start = 0; start < bytes.length;) {
      // What is held is read no more, so that the sender's buffers fill as they would.
      if (isHeld()) return new Promise(() => {})
      if (onto.destroyed) return
      let end = Math.min(bytes.length, start + (fault.splitBytes ?? bytes.length))
      const isHere = isOutward === !fault.back && fault.at !== undefined && passed <= fault.at
      if (isHere && fault.do !== 'flip') end = Math.min(end, start + fault.at - passed)
      const piece = Buffer.from(bytes.subarray(start, end))
      if (isHere && fault.do === 'flip' && fault.at < passed + piece.length) {
        piece[fault.at - passed] ^= 1
        console.log(JSON.stringify({ struck: fault.at }))
      }
      if (fault.delayMs) await new Promise((resolve) => setTimeout(resolve, fault.delayMs))
      if (piece.length > 0 && !onto.write(piece)) await drained(onto)
      passed += piece.length
      start = end
      if (isHere && fault.do !== 'flip' && passed === fault.at) return strike()
    }
  }

  function strike() {
    const { near, far } = link
    console.log(JSON.stringify({ struck: fault.at }))
    if (fault.do === 'half') onto.end()
    else
      for (const end of [near, far])
        fault.do === 'reset' && end.remoteAddress ? end.resetAndDestroy() : end.destroySoon()
    return new Promise(() => {})
  }
}

function drained(socket) {
  return new Promise((resolve) => {
    socket.once('drain', resolve)
    socket.once('close', resolve)
  })
}

for await (const line of createInterface({ input: process.stdin })) {
  fault = JSON.parse(line)
  if (fault.farGone) for (const { far } of links) far.destroy()
  if (fault.now === 'cut') for (const { near, far } of links) for (const end of [near, far]) end.destroy()
  console.log(JSON.stringify({ fault }))
}
server.close()
for (const { near, far } of links) for (const end of [near, far]) end.destroy()

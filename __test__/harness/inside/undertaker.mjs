/**
 * Outlives the process that started it, however that ends, and then removes what it left.
 *
 * A test runner that is killed (SIGINT, SIGTERM, even SIGKILL) cannot clean up after itself. Its end
 * closes the pipe that is this process's standard input, and that is the signal to begin.
 *
 *     node undertaker.mjs zp1234 < pipe
 */
import { bury } from './remains.mjs'

const owner = process.argv[2]
if (!owner) throw new Error('whose undertaker? give the owner as the only argument')

// A Ctrl-C at the terminal is meant for the runner; this process must live to see the runner's end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

process.stdin.on('end', () => {
  process.exitCode = bury(owner) ? 0 : 1
})
process.stdin.resume()

/**
 * The thread of a bench that sends or returns datagrams: beside streams of several gigabits a second it would not get
 * its turn in time, and what it measures would be the event loop. Loaded by its path (`thread.ts`).
 */

import { parentPort, workerData } from 'node:worker_threads'
import type { EchoPlace } from './echo.js'
import { serveEcho } from './echo.js'
import type { Invitation } from './parley.js'
import type { Interval } from './pinger.js'
import { Pinger } from './pinger.js'
import type { Answer, Order, Work } from './thread.js'

const { work, place } = workerData as { work: Work; place: EchoPlace & Invitation }

function say(answer: Answer): void {
  parentPort?.postMessage(answer)
}

function fail(error: unknown): void {
  const { message, code } = error as NodeJS.ErrnoException
  say({ failure: { message, code } })
}

if (work === 'echo') {
  serveEcho(place).then(() => {
    say({ value: null })
  }, fail)
} else {
  Pinger.start(place).then((pinger) => {
    let interval: Interval | undefined
    parentPort?.on('message', (order: Order) => {
      if (order.begin) {
        interval = pinger.begin()
        say({ value: null })
      } else {
        void interval?.end(order.patienceMs).then((pings) => {
          say({ value: pings })
        })
      }
    })
    say({ value: null })
  }, fail)
}

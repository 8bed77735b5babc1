/**
 * The line at the foot of a terminal that is always now. Messages scroll by above it.
 *
 * A repaint is one write that overwrites in place and erases only what is left over, so nothing flickers; wrapping is
 * off while it is written, so a character that is wider than we think cannot push the line into the next row.
 */

import type { WriteStream } from 'node:tty'
import type { TunnelOptions } from '../tunnel-options.js'
import type { Tunnel } from '../tunnel.js'
import type { Fields, Level } from './log-line.js'
import { eventText } from './log-line.js'
import type { Say } from './narrate.js'
import { rateMeter } from './rates.js'
import { statusLine } from './status-line.js'

const REPAINT_EVERY_MS = 500

const WRAP_OFF = '\u001b[?7l'
const WRAP_ON = '\u001b[?7h'
const ERASE_TO_END = '\u001b[K'
const COLORS: Readonly<Record<Level, number>> = { info: 36, warn: 33, error: 31 }

/** A terminal with a live line at its foot. */
export interface Live {
  /** Writes a message above the line. */
  readonly say: Say
  /** Starts to paint the line of this tunnel. */
  start(tunnel: Tunnel, options: TunnelOptions): void
  /** Takes the line away. */
  stop(): void
}

export function liveLine(out: WriteStream, env: NodeJS.ProcessEnv): Live {
  const color = out.hasColors(env)
  const unicode = /utf-?8/i.test(env['LC_ALL'] ?? env['LC_CTYPE'] ?? env['LANG'] ?? '')
  let paint = (): string => ''
  let timer: NodeJS.Timeout | undefined
  const repaint = (above = '') => {
    out.write(`\r${above}${WRAP_OFF}${paint()}${ERASE_TO_END}${WRAP_ON}`)
  }

  return {
    say(level: Level, message: string, fields: Fields) {
      const clock = new Date().toTimeString().slice(0, 8)
      const shownLevel = color ? `\u001b[${COLORS[level]}m${level}\u001b[0m` : level
      repaint(`${clock} ${shownLevel} ${eventText(message, fields)}${ERASE_TO_END}\n`)
    },
    start(tunnel, options) {
      const ratesOf = rateMeter()
      let sinceMs = performance.now()
      tunnel.on('state', ({ state, previous }) => {
        if (state !== previous) sinceMs = performance.now()
      })
      paint = () => {
        const stats = tunnel.stats()
        const nowMs = performance.now()
        return statusLine(
          {
            name: tunnel.name,
            state: tunnel.state,
            stateMs: nowMs - sinceMs,
            where: tunnel.peer?.address ?? tunnel.local ?? options.connect ?? '',
            stats,
            rates: ratesOf(stats, nowMs),
          },
          // The last column stays free: a cursor behind it would hang over the edge on some terminals.
          { columns: out.columns - 1, color, unicode },
        )
      }
      repaint()
      timer = setInterval(() => {
        repaint()
      }, REPAINT_EVERY_MS)
    },
    stop() {
      clearInterval(timer)
      paint = () => ''
      repaint()
    },
  }
}

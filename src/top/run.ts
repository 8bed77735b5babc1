/** Watches one tunnel on a terminal until somebody has seen enough. */

import type { ReadStream, WriteStream } from 'node:tty'
import { askSamples, askStatus, NobodyThere } from '../control/client.js'
import { dropsOf } from '../control/metrics.js'
import { SAMPLES_MAX } from '../control/recorder.js'
import type { TunnelStatus } from '../control/status.js'
import type { TopView } from './screen.js'
import { topScreen } from './screen.js'
import type { Screen } from './terminal.js'
import { enterScreen } from './terminal.js'

const LOOK_EVERY_MS = 1000
const CTRL_C = '\u0003'

/** Resolves when q or Ctrl-C was pressed or the process was asked to stop; the terminal is then as before. */
export async function watch(
  socket: string,
  input: ReadStream,
  output: WriteStream,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const samples = await askSamples(socket)
  let view: TopView = {
    status: await askStatus(socket),
    dropsPerSecond: {},
    txBitsPerSecond: samples.txBitsPerSecond,
    rxBitsPerSecond: samples.rxBitsPerSecond,
    rttUs: [],
    gone: undefined,
  }
  const color = output.hasColors(env)
  const unicode = /utf-?8/i.test(env['LC_ALL'] ?? env['LC_CTYPE'] ?? env['LANG'] ?? '')
  const paint = (screen: Screen) => {
    screen.show(topScreen(view, { columns: screen.columns, rows: screen.rows, color, unicode }))
  }

  const enough = new AbortController()
  const stop = () => {
    enough.abort()
  }
  const screen: Screen = enterScreen(input, output, {
    onKey: (key) => {
      if (key === 'q' || key === 'Q' || key === CTRL_C) stop()
    },
    onResize: () => {
      paint(screen)
    },
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, stop)
  try {
    while (!enough.signal.aborted) {
      paint(screen)
      await pause(enough.signal)
      view = await looked(view, socket)
    }
  } finally {
    screen.leave()
    for (const signal of signals) process.off(signal, stop)
  }
}

/** The view a second later. A tunnel that has ended stays on the screen as it was; one that is started again goes on. */
async function looked(before: TopView, socket: string): Promise<TopView> {
  try {
    const status = await askStatus(socket)
    const { rttUs } = status.stats as unknown as { rttUs?: number }
    return {
      status,
      dropsPerSecond: dropsBetween(before.status, status),
      txBitsPerSecond: [...before.txBitsPerSecond, status.rates.txBitsPerSecond].slice(-SAMPLES_MAX),
      rxBitsPerSecond: [...before.rxBitsPerSecond, status.rates.rxBitsPerSecond].slice(-SAMPLES_MAX),
      rttUs: [...before.rttUs, rttUs ?? 0].slice(-SAMPLES_MAX),
      gone: undefined,
    }
  } catch (error) {
    const why = error instanceof NobodyThere ? `${before.status.name} does not run any more` : (error as Error).message
    return { ...before, gone: why }
  }
}

function dropsBetween(before: TunnelStatus, after: TunnelStatus): Record<string, number> {
  const old = new Map(dropsOf(before.stats))
  return Object.fromEntries(
    dropsOf(after.stats).map(([cause, count]) => [cause, Math.max(0, count - (old.get(cause) ?? 0))]),
  )
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', over)
      resolve()
    }
    const timer = setTimeout(over, LOOK_EVERY_MS)
    signal.addEventListener('abort', over)
    if (signal.aborted) over()
  })
}

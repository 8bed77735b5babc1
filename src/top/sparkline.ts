/** A row of numbers as a row of bars, the newest at the right. */

const BARS = { unicode: ' ▁▂▃▄▅▆▇█', ascii: ' .:-=+*#@' } as const

/**
 * Exactly `columns` characters. The largest value fills its cell; a value above zero is never drawn as nothing, so that
 * a trickle can be told from silence.
 */
export function sparkline(values: readonly number[], columns: number, unicode: boolean): string {
  const bars = Array.from(unicode ? BARS.unicode : BARS.ascii)
  const shown = values.slice(-columns)
  const most = Math.max(...shown, 0)
  const text = shown.map((value) => {
    if (!(value > 0)) return bars[0]
    return bars[Math.max(1, Math.round((value / most) * (bars.length - 1)))]
  })
  return text.join('').padStart(columns)
}

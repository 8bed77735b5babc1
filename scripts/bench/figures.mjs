/** How figures are written, everywhere the same: three digits, and a dash where there is none. */

/** From this share on, what others do on the machine makes all figures doubtful. */
export const BUSY_PERCENT = 10

export const NONE = '–'

/** Three significant digits, two where it is small: `0.053`, `8.31`, `154`. */
export function figure(value) {
  if (!Number.isFinite(value)) return NONE
  if (value === 0) return '0'
  const digits = Math.abs(value) < 0.1 ? 2 : 3
  return value.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value)))))
}

/** A whole number of things. */
export function count(value) {
  return Number.isFinite(value) ? String(Math.round(value)) : NONE
}

/** How often one is in the other: `15.4×`. */
export function ratio(value, reference) {
  if (!Number.isFinite(value) || !Number.isFinite(reference) || reference === 0) return NONE
  return `${figure(value / reference)}×`
}

/** One line that says where and how figures were taken, and whether they can be believed. */
export function provenance({ machine, rounds, when, commit, busyPercentBefore }) {
  const { cpu, cores, kernel } = machine
  const medians = rounds === 1 ? 'one run' : `medians of ${rounds} runs`
  const doubt = busyPercentBefore >= BUSY_PERCENT ? ['on a BUSY machine'] : []
  return [`${cpu}, ${cores} cores`, `Linux ${kernel}`, medians, when.slice(0, 10), `commit ${commit}`, ...doubt].join(
    ' · ',
  )
}

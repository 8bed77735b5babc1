/** The table of `npm run soak`: each proof with its figures, and beside them what was promised. */

/** The text, and how many promises were not kept. */
export function table(figures) {
  const missed = figures.filter((figure) => !isKept(figure)).length
  const rows = figures.map((figure) => [
    figure.what,
    quantity(figure.value, figure.unit),
    figure.atMost === undefined ? '' : `<= ${quantity(figure.atMost, figure.unit)}`,
    isKept(figure) ? '' : 'MISSED',
  ])
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column].length)))
  let proof
  const lines = figures.flatMap((figure, index) => {
    const [what, value, promise, verdict] = rows[index]
    const row = ['  ', what.padEnd(widths[0]), value.padStart(widths[1]), promise.padEnd(widths[2]), verdict].join('  ')
    const heading = figure.proof === proof ? [] : [figure.proof]
    proof = figure.proof
    return [...heading, row.trimEnd()]
  })
  return { text: lines.join('\n'), missed }
}

function isKept({ value, atMost }) {
  return atMost === undefined || value <= atMost
}

function quantity(value, unit) {
  return `${Number.isInteger(value) ? value : value.toFixed(2)}${unit ? ` ${unit}` : ''}`
}

/**
 * A small pen for charts. All its colours are as far from white as from black, so that a chart can be read
 * on a light page and on a dark one; it paints no ground of its own.
 */

/** Contrast at least 4.3 : 1 against both #ffffff and #0d1117. */
export const INK = '#6f7a88'
export const FAINT = '#8b949e'
/** Bars: ours, ours in its slower form, what is not a tunnel, everybody else's. The third lets the page through. */
export const OURS = '#2f81f7'
export const OURS_PLAIN = '#7aa7e8'
export const NO_TUNNEL = '#87909b80'
export const OTHERS = '#87909b'
export const WORST = '#d9822b'

const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"

/** `anchor` is start, middle or end; `y` is the base line. */
export function text(x, y, words, { size = 12, weight = 400, anchor = 'start', fill = INK } = {}) {
  const place = `x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"`
  return `<text ${place} font-size="${size}" font-weight="${weight}" fill="${fill}">${escaped(words)}</text>`
}

export function bar(x, y, width, height, fill) {
  const size = `width="${round(Math.max(width, 1))}" height="${round(height)}"`
  return `<rect x="${round(x)}" y="${round(y)}" ${size} rx="2" fill="${fill}"/>`
}

export function line(x1, y1, x2, y2, { stroke = FAINT, width = 1, opacity = 1 } = {}) {
  const ends = `x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"`
  return `<line ${ends} stroke="${stroke}" stroke-width="${width}" stroke-opacity="${opacity}"/>`
}

/** The whole picture; `description` is for those who cannot see it. */
export function picture({ width, height, title, description, parts }) {
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"`,
    `  font-family="${FONT}">`,
    `<title>${escaped(title)}</title>`,
    `<desc>${escaped(description)}</desc>`,
    ...parts,
    '</svg>',
  ].join('\n')}\n`
}

function escaped(words) {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function round(number) {
  return Math.round(number * 10) / 10
}

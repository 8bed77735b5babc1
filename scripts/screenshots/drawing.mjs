/** A terminal's screen as SVG: its text in its colours, each run of one style at its own place in the grid. Pure. */

const CELL = { width: 8.4, height: 18 }
const PADDING = 16
const TITLE_HEIGHT = 30
const PAPER = '#161b22'
const INK = '#d0d7de'
/** Seen on a dark page, and not missed on a light one. */
const EDGE = '#3d444d'
/** The eight colours of a terminal, then the eight bright ones. */
const COLORS = [
  ...['#484f58', '#ff7b72', '#3fb950', '#d29922', '#58a6ff', '#bc8cff', '#39c5cf', '#b1bac4'],
  ...['#6e7681', '#ffa198', '#56d364', '#e3b341', '#79c0ff', '#d2a8ff', '#56d4dd', '#ffffff'],
]

/** The drawing of a screen as `tmux capture-pane -e` gives it; `command` stands above it as it was typed. */
export function terminalDrawing(screen, { columns, command }) {
  const lines = [
    [
      { text: '$ ', style: { color: COLORS[10] } },
      { text: command, style: { isBold: true } },
    ],
  ]
  lines.push(...screen.trimEnd().split('\n').map(runsOf))
  const width = Math.ceil(columns * CELL.width + 2 * PADDING)
  const height = lines.length * CELL.height + 2 * PADDING + TITLE_HEIGHT
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (color, index) => `<circle cx="${20 + index * 20}" cy="18" r="6" fill="${color}"/>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(command)}">
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="${PAPER}" stroke="${EDGE}"/>
${dots.join('')}
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="${INK}" xml:space="preserve">
${lines.map((runs, index) => drawnLine(runs, PADDING + TITLE_HEIGHT + (index + 0.7) * CELL.height)).join('\n')}
</g>
</svg>
`
}

function drawnLine(runs, y) {
  let column = 0
  return runs
    .map(({ text, style: { color, isBold, isDim } }) => {
      const x = (PADDING + column * CELL.width).toFixed(1)
      const length = [...text].length
      column += length
      if (text.trim() === '') return ''
      const look = `${color === undefined ? '' : ` fill="${color}"`}${isBold ? ' font-weight="bold"' : ''}${isDim ? ' opacity="0.65"' : ''}`
      // Fonts differ in width: the grid decides.
      const fit = ` textLength="${(length * CELL.width).toFixed(1)}" lengthAdjust="spacingAndGlyphs"`
      return `<text x="${x}" y="${y.toFixed(1)}"${look}${fit}>${escaped(text)}</text>`
    })
    .join('')
}

/** A line as runs of one style. */
function runsOf(line) {
  const runs = []
  let style = {}
  // eslint-disable-next-line no-control-regex -- the colours are control characters
  for (const [, codes, text] of line.matchAll(/(?:\u001b\[([\d;]*)m)|([^\u001b]+)/g)) {
    if (text === undefined) style = styleAfter(style, codes)
    else runs.push({ text, style })
  }
  return runs
}

function styleAfter(before, codes) {
  const style = { ...before }
  const numbers = codes.split(';').map(Number)
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at]
    if (code === 0) Object.assign(style, { color: undefined, isBold: false, isDim: false })
    else if (code === 1) style.isBold = true
    else if (code === 2) style.isDim = true
    else if (code === 22) Object.assign(style, { isBold: false, isDim: false })
    else if (code >= 30 && code <= 37) style.color = COLORS[code - 30]
    else if (code >= 90 && code <= 97) style.color = COLORS[code - 82]
    else if (code === 39) style.color = undefined
    else if (code === 38 && numbers[at + 1] === 2) {
      style.color = `rgb(${numbers.slice(at + 2, at + 5).join(',')})`
      at += 4
    } else if (code === 38 && numbers[at + 1] === 5) {
      style.color = COLORS[numbers[at + 2]] ?? INK
      at += 2
    }
  }
  return style
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

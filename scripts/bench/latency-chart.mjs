/** docs/bench/latency.svg: what a ping waits under each load, a column of bars for each rate of the link. */
import { figure, provenance } from './figures.mjs'
import { LOADS } from './latency.mjs'
import { bar, NO_TUNNEL, INK, line, OURS, picture, text, WORST } from './svg.mjs'

const WIDTH = 880
const MARGIN = 16
const HEAD = 92
const LABEL_WIDTH = 142
const GUTTER = 24
const VALUE_WIDTH = 70
const COLUMN_HEAD = 28
const ROW = 15
const BAR = 11
const GROUP_GAP = 14

const COLOURS = { veth: NO_TUNNEL, openvpn: WORST, zportal: OURS }

export function latencyChart(results) {
  const { links } = results
  const drawn = ({ id, skipped }) => !skipped && id in COLOURS
  const contenders = links[0].contenders.filter(drawn)
  const rows = [{ key: 'idle', label: 'idle' }, ...LOADS].filter(({ key }) =>
    links.some((link) => link.contenders.some(({ medians }) => `${key}MeanMs` in medians)),
  )
  const columnWidth = (WIDTH - 2 * MARGIN - LABEL_WIDTH - (links.length - 1) * GUTTER) / links.length
  const group = contenders.length * ROW + GROUP_GAP
  const height = HEAD + COLUMN_HEAD + rows.length * group + MARGIN - GROUP_GAP / 2
  const title = 'Ping while the link is full'
  const rule = 'Mean round trip in ms, and in brackets the slowest, where the thin line ends; less is better. '
  const hosts = `Hosts with ${results.congestion}, ${results.bufferMs} ms of buffer at each end of the link.`
  const parts = [
    text(MARGIN, 26, title, { size: 17, weight: 700 }),
    text(MARGIN, 44, rule + hosts, { size: 11 }),
    text(MARGIN, 60, provenance(results), { size: 11 }),
    ...legend(contenders),
    ...rows.flatMap(({ label }, row) => {
      const y = HEAD + COLUMN_HEAD + row * group
      const middle = y + (contenders.length * ROW) / 2
      const rule = row === 0 ? [] : [ruler(MARGIN, y - GROUP_GAP / 2, WIDTH - 2 * MARGIN)]
      return [text(MARGIN, middle + 4, label, { weight: 600 }), ...rule]
    }),
  ]
  for (const [column, link] of links.entries()) {
    const x = MARGIN + LABEL_WIDTH + column * (columnWidth + GUTTER)
    parts.push(...columnParts({ link, rows, contenders, x, width: columnWidth, group }))
  }
  const description = `${rule}${hosts} ${provenance(results)}. ${links.map((link) => sentence(link, rows)).join(' ')}`
  return picture({ width: WIDTH, height, title, description, parts })
}

function columnParts({ link, rows, contenders, x, width, group }) {
  const all = link.contenders.filter(({ id }) => contenders.some((contender) => contender.id === id))
  // The slowest ping of all sets the scale: nothing is cut off.
  const most = Math.max(...all.flatMap(({ medians }) => rows.map(({ key }) => medians[`${key}MaxMs`] ?? 0)), 1)
  const length = (ms) => (ms / most) * (width - VALUE_WIDTH)
  const bottom = HEAD + COLUMN_HEAD + rows.length * group - GROUP_GAP
  return [
    text(x, HEAD + 14, `${link.rateMbit} Mbit/s`, { size: 13, weight: 700 }),
    ...rows.flatMap(({ key }, row) =>
      all.flatMap(({ id, ours, medians }, index) => {
        const middle = HEAD + COLUMN_HEAD + row * group + index * ROW + ROW / 2
        const [mean, max] = [medians[`${key}MeanMs`], medians[`${key}MaxMs`]]
        if (!Number.isFinite(mean)) return [text(x + 4, middle + 4, '–', { size: 11 })]
        const whisker = line(x + length(mean), middle, x + length(max), middle, { stroke: COLOURS[id], width: 1.5 })
        const words = text(x + length(max) + 5, middle + 4, `${figure(mean)} (${figure(max)})`, {
          size: 11,
          weight: ours ? 700 : 400,
        })
        return [whisker, bar(x, middle - BAR / 2, length(mean), BAR, COLOURS[id]), words]
      }),
    ),
    line(x, HEAD + COLUMN_HEAD - 2, x, bottom + 2, { opacity: 0.6 }),
  ]
}

function legend(contenders) {
  const step = 130
  return contenders.flatMap(({ id, name }, index) => {
    const x = MARGIN + LABEL_WIDTH + index * step
    return [bar(x, 72, BAR, BAR, COLOURS[id]), text(x + BAR + 6, 82, name, { fill: INK })]
  })
}

function ruler(x, y, width) {
  return line(x, y, x + width, y, { opacity: 0.25 })
}

function sentence({ rateMbit, contenders }, rows) {
  const of = ({ name, medians }) =>
    `${name} ${rows.map(({ key, label }) => `${label} ${figure(medians[`${key}MeanMs`])}`).join(', ')}`
  return `${rateMbit} Mbit/s: ${contenders.map(of).join('; ')}.`
}

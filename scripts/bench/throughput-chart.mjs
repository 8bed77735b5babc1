/** docs/bench/throughput.svg: panels of horizontal bars, each on its own scale. */
import { fullName } from './contenders.mjs'
import { figure, provenance } from './figures.mjs'
import { bar, NO_TUNNEL, line, OTHERS, OURS, OURS_PLAIN, picture, text } from './svg.mjs'

const PANELS = [
  { key: 'tcp1UpGbit', title: 'TCP, one stream up', unit: 'Gbit/s' },
  { key: 'tcp1DownGbit', title: 'TCP, one stream down', unit: 'Gbit/s' },
  { key: 'tcp8BothGbit', title: 'TCP, eight streams each way', unit: 'Gbit/s, sum of both ways' },
  { key: 'datagramsThousands', title: '100-byte UDP datagrams', unit: 'thousand arriving each second' },
  { key: 'rttIdleMs', title: 'Round trip, idle', unit: 'ms', less: true },
  { key: 'cpuSecondsPerGb', title: 'CPU time of both ends', unit: 'seconds for each GB, one stream up', less: true },
]

const WIDTH = 880
const MARGIN = 16
const GUTTER = 40
const HEAD = 74
const COLUMNS = 2
const PANEL_WIDTH = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GUTTER) / COLUMNS
const LABEL_WIDTH = 148
const VALUE_WIDTH = 46
const PANEL_HEAD = 46
const ROW = 21
const BAR = 13
const PANEL_GAP = 26
/** How many times the second the first must be to be cut off, and how much room it then has beyond the second. */
const FAR = 4
const BESIDE_FAR = 1.4
const BREAK_GAP = 5
const BREAK_END = 14

export function throughputChart(results) {
  const contenders = results.contenders.filter(({ skipped }) => !skipped)
  const panelHeight = PANEL_HEAD + contenders.length * ROW + PANEL_GAP
  const height = HEAD + Math.ceil(PANELS.length / COLUMNS) * panelHeight - PANEL_GAP + MARGIN
  const title = 'ZPortal beside other tunnels over one TCP stream'
  const where = `Two network namespaces on one machine, joined by a veth pair; MTU ${results.mtuBytes} in the tunnel.`
  const parts = [
    text(MARGIN, 26, title, { size: 17, weight: 700 }),
    text(MARGIN, 44, where, { size: 11 }),
    text(MARGIN, 59, provenance(results), { size: 11 }),
  ]
  for (const [index, panel] of PANELS.entries()) {
    const x = MARGIN + (index % COLUMNS) * (PANEL_WIDTH + GUTTER)
    const y = HEAD + Math.floor(index / COLUMNS) * panelHeight
    parts.push(...panelParts(panel, contenders, x, y))
  }
  const description = `${where} ${provenance(results)}. ${PANELS.map((panel) => sentence(panel, contenders)).join(' ')}`
  return picture({ width: WIDTH, height, title, description, parts })
}

function panelParts({ key, title, unit, less }, contenders, x, y) {
  const room = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH
  const length = scale(
    contenders.flatMap(({ medians }) => medians[key] ?? []),
    room,
    less,
  )
  const from = x + LABEL_WIDTH
  const top = y + PANEL_HEAD
  return [
    text(x, y + 14, title, { size: 13, weight: 700 }),
    text(x + PANEL_WIDTH, y + 14, verdict(key, contenders, less), {
      size: 12,
      weight: 700,
      anchor: 'end',
      fill: OURS,
    }),
    text(x, y + 29, `${unit}${less ? ', less is better' : ''}`, { size: 11 }),
    line(x, y + 37, x + PANEL_WIDTH, y + 37, { opacity: 0.35 }),
    ...contenders.flatMap((contender, row) => {
      const middle = top + row * ROW + ROW / 2
      const value = contender.medians[key]
      const weight = contender.ours ? 700 : 400
      const words = text(from - 8, middle + 4, fullName(contender), {
        anchor: 'end',
        weight: contender.flag ? 400 : weight,
      })
      if (!Number.isFinite(value)) return [words, text(from + 6, middle + 4, absence(contender), { size: 11 })]
      return [
        words,
        ...bars(from, middle - BAR / 2, length(value), room, colour(contender)),
        text(from + Math.min(length(value), room) + 6, middle + 4, figure(value), { weight }),
      ]
    }),
    line(from, top, from, top + contenders.length * ROW, { opacity: 0.6 }),
  ]
}

/**
 * The way from a figure to a length. One that is far worse than all others does not set the scale: it is longer
 * than the room. One that is far better always does.
 */
function scale(values, room, less) {
  const [most = 1, second = most] = values.toSorted((a, b) => b - a)
  const full = less && most > FAR * second ? second * BESIDE_FAR : most
  return (value) => (value / full) * room
}

/** A bar; where it does not fit, one with a gap that says so. */
function bars(x, y, length, room, fill) {
  if (length <= room) return [bar(x, y, length, BAR, fill)]
  return [bar(x, y, room - BREAK_END - BREAK_GAP, BAR, fill), bar(x + room - BREAK_END, y, BREAK_END, BAR, fill)]
}

/** What a reader wants to take away: how we compare with the tunnel that everybody knows. */
function verdict(key, contenders, less) {
  const [ours, theirs] = ['zportal', 'openvpn'].map((id) => contenders.find((each) => each.id === id)?.medians[key])
  if (!(ours > 0 && theirs > 0)) return ''
  const whole = less ? theirs / ours : ours / theirs
  if (whole >= 10) return `${less ? '1/' : ''}${Math.round(whole)}${less ? ' of' : '×'} OpenVPN TCP`
  return `${figure(ours / theirs)}× OpenVPN TCP`
}

function absence({ id, rounds }) {
  return id === 'veth' && rounds.some(({ problems }) => !problems) ? 'the kernel alone' : 'failed'
}

function colour({ id, ours, flag }) {
  if (id === 'veth' || id === 'pump') return NO_TUNNEL
  if (!ours) return OTHERS
  return flag ? OURS_PLAIN : OURS
}

function sentence({ key, title, unit }, contenders) {
  const figures = contenders.map((contender) => `${fullName(contender)} ${figure(contender.medians[key])}`)
  return `${title} (${unit}): ${figures.join(', ')}.`
}

/** The results as tables: for the terminal, and in Markdown for docs/bench. */
import { fullName } from './contenders.mjs'
import { count, figure, ratio } from './figures.mjs'
import { LOADS } from './latency.mjs'
import { MEASURES } from './throughput.mjs'

/** Three tables with the same rows: the figures, and their ratios to two of the contenders. */
export function throughputTables({ contenders }) {
  const label = ({ label, unit, less }, withUnit) =>
    `${label}${withUnit && unit ? `, ${unit}` : ''}${less ? ' (less is better)' : ''}`
  const figures = {
    header: ['medians', ...contenders.map(fullName)],
    rows: MEASURES.map((measure) => [
      label(measure, true),
      ...contenders.map(({ medians }) => (measure.count ? count : figure)(medians[measure.key])),
    ]),
  }
  const ratios = ['openvpn', 'veth'].flatMap((id) => {
    const reference = contenders.find((contender) => contender.id === id)
    const others = contenders.filter((contender) => contender !== reference)
    if (!reference || others.length === 0) return []
    const measures = MEASURES.filter(({ key, count }) => !count && Number.isFinite(reference.medians[key]))
    if (measures.length === 0) return []
    const rows = measures.map((measure) => [
      label(measure, false),
      ...others.map(({ medians }) => ratio(medians[measure.key], reference.medians[measure.key])),
    ])
    return [{ header: [`times ${reference.name}`, ...others.map(fullName)], rows }]
  })
  return [figures, ...ratios]
}

/** One table for what we want of ourselves. */
export function barsTable(bars) {
  const rows = bars.map(({ bar, figure: measured, limit, unit, isLeast = false, holds }) => [
    bar,
    figure(measured),
    `${isLeast ? '≥' : '≤'} ${figure(limit)}${unit && ` ${unit}`}`,
    holds ? 'holds' : 'MISSED',
  ])
  return { header: ['what we want', 'measured', 'wanted', ''], rows }
}

/** One table for all scenes of a sink that stops. */
export function stallTable({ scenes }) {
  const rows = scenes.map(({ name, seconds, mbit, rssMib, dropped, uncounted, isLost, backMs, recoveredMs }) => [
    `${name}: ${seconds} s`,
    figure(mbit),
    figure(rssMib),
    count(dropped),
    count(uncounted),
    isLost ? figure(backMs) : 'never lost',
    figure(recoveredMs),
  ])
  return {
    header: [
      'who stops',
      'Mbit/s before',
      'MiB more',
      'dropped',
      'uncounted',
      'peer back after, ms',
      '90 % of the rate after, ms',
    ],
    rows,
  }
}

/** One table for each link. */
export function latencyTables({ links }) {
  return links.map(({ rateMbit, contenders }) => {
    const raw = contenders.find(({ id }) => id === 'veth')
    const ping = (medians, key) => `${figure(medians[`${key}MeanMs`])} (${figure(medians[`${key}MaxMs`])})`
    const goodput = (medians, key) => {
      const times = raw ? ` (${ratio(medians[`${key}Mbit`], raw.medians[`${key}Mbit`])})` : ''
      return `${figure(medians[`${key}Mbit`])}${times}`
    }
    const loads = LOADS.filter(({ key }) => contenders.some(({ medians }) => `${key}MeanMs` in medians))
    const rows = [
      ['ping idle, mean (max) ms', ...contenders.map(({ medians }) => ping(medians, 'idle'))],
      ...loads.map(({ key, label }) => [
        `ping under ${label}, mean (max) ms`,
        ...contenders.map(({ medians }) => ping(medians, key)),
      ]),
      ...loads
        .filter(({ key }) => contenders.some(({ medians }) => medians[`${key}LostPercent`] > 0))
        .map(({ key, label }) => [
          `pings lost under ${label}, %`,
          ...contenders.map(({ medians }) => figure(medians[`${key}LostPercent`])),
        ]),
      ...loads.map(({ key, label }) => [
        `lookup under ${label}, mean (max) ms`,
        ...contenders.map(({ medians }) => ping(medians, `${key}Lookup`)),
      ]),
      ...loads.map(({ key, label }) => [
        `wait of sparse flows in our queue under ${label}, 99 % within, ms`,
        ...contenders.map(({ medians }) => figure(medians[`${key}SparseWaitMs`])),
      ]),
      ...loads.map(({ key, label }) => [
        `goodput of ${label}, Mbit/s${raw ? ' (times raw link)' : ''}`,
        ...contenders.map(({ medians }) => goodput(medians, key)),
      ]),
      ...loads
        .filter(({ streams }) => streams > 1)
        .map(({ key, label }) => [
          `how evenly ${label} share, Jain's index`,
          ...contenders.map(({ medians }) => figure(medians[`${key}Jain`])),
        ]),
    ]
    return { header: [`${rateMbit} Mbit/s`, ...contenders.map(fullName)], rows }
  })
}

/** Who could not be measured, or not in everything, and why: one line each. */
export function troubles(contenders) {
  return contenders.flatMap((contender) => [
    ...(contender.skipped ? [`${fullName(contender)}: skipped, ${contender.skipped}`] : []),
    ...contender.rounds.flatMap(({ problems = [] }, index) =>
      problems.map(({ what, why }) => `${fullName(contender)}, run ${index + 1}: ${what}: ${why}`),
    ),
  ])
}

/** In columns, for a terminal. */
export function asText({ header, rows }) {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column].length)))
  const line = (row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')
  return [line(header), ...rows.map(line)]
}

export function asMarkdown({ header, rows }) {
  const line = (row) => `| ${row.join(' | ')} |`
  return [line(header), line(header.map((_, column) => (column === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

/** Where results stay: results.json, and what is drawn from it. A part that was not measured again stays as it was. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { provenance } from './figures.mjs'
import { latencyChart } from './latency-chart.mjs'
import { asMarkdown, barsTable, latencyTables, stallTable, throughputTables, troubles } from './table.mjs'
import { throughputChart } from './throughput-chart.mjs'

const FILE = 'results.json'

/** Adds the parts to what the directory has, draws everything, and gives the files written. */
export function keep(directory, parts) {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, FILE)
  const known = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
  const results = { ...known, ...parts }
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`)
  return [path, ...draw(directory)]
}

/** Draws charts and tables from the directory's results. */
export function draw(directory) {
  const { throughput, latency, stall } = JSON.parse(readFileSync(join(directory, FILE), 'utf8'))
  const files = {
    ...(throughput ? { 'throughput.svg': throughputChart(throughput) } : {}),
    ...(latency ? { 'latency.svg': latencyChart(latency) } : {}),
    'RESULTS.md': page(throughput, latency, stall),
  }
  return Object.entries(files).map(([name, content]) => {
    writeFileSync(resolve(directory, name), content)
    return join(directory, name)
  })
}

function page(throughput, latency, stall) {
  return `# Measured

Written by \`npm run bench\`; every single run is in [results.json](results.json). Contenders take turns, and each
figure is the median of its runs. "Up" is from the client to the server, which listens.
${throughput ? section('Throughput and cost', throughput, throughputTables(throughput), throughput.contenders) : ''}${
    latency
      ? section(
          'Ping while the link is full',
          latency,
          [...latencyTables(latency), barsTable(latency.bars ?? [])].filter(({ rows }) => rows.length > 0),
          latency.links.flatMap((link) => link.contenders),
        )
      : ''
  }${stall ? stallSection(stall) : ''}`
}

/** The sinks that stop have no contenders, and no chart. */
function stallSection(stall) {
  const tables = [stallTable(stall), barsTable(stall.bars)]
  return section('A sink that stops reading', stall, tables, [])
}

function section(title, part, tables, contenders) {
  const { machine, commandLine } = part
  const notes = troubles(contenders).map((trouble) => `- ${trouble}`)
  const versions = ['openvpn', 'socat', 'iperf3', 'node'].map((name) => `${name} ${machine[name]}`).join(', ')
  return `
## ${title}

${provenance(part)}. ${machine.system}, ${machine.memoryGib} GiB, ${versions}; the machine's congestion control is
${machine.congestion}; before the runs it was up to ${part.busyPercentBefore} % busy with other things, and ${part.stolenPercent} % of its time was stolen.
\`${commandLine}\`

${tables.map(asMarkdown).join('\n\n')}
${notes.length > 0 ? `\n${notes.join('\n')}\n` : ''}`
}

/**
 * A strict reader of Prometheus' text format 0.0.4: it throws on anything that the format does not allow, so that a test
 * of our metrics means that every scraper takes them.
 */

export interface Family {
  type: 'counter' | 'gauge'
  help: string
  samples: { labels: Record<string, string>; value: number }[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`)
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge)$`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (-?(?:[0-9]+(?:\\.[0-9]+)?(?:e[+-]?[0-9]+)?)|NaN|[+-]Inf)$`)
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/

/** The families by name. Each has HELP, then TYPE, then its samples, and appears once. */
export function parseMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let help: RegExpExecArray | undefined
  let current: { name: string; family: Family } | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    const [helpLine, typeLine, sample] = [HELP.exec(line), TYPE.exec(line), SAMPLE.exec(line)]
    if (helpLine !== null) {
      if (help !== undefined) throw new Error(`two HELP lines in a row: ${line}`)
      help = helpLine
    } else if (typeLine !== null) {
      const [, name = '', type] = typeLine
      if (help?.[1] !== name) throw new Error(`TYPE without its HELP: ${line}`)
      if (families.has(name)) throw new Error(`the family ${name} appears twice`)
      current = { name, family: { type: type as Family['type'], help: help[2] ?? '', samples: [] } }
      families.set(name, current.family)
      help = undefined
    } else if (sample !== null) {
      const [whole, name = '', labelText = '', value = ''] = sample
      if (current?.name !== name || help !== undefined) throw new Error(`a sample outside its family: ${whole}`)
      const labels = parseLabels(labelText)
      const series = JSON.stringify([name, Object.entries(labels).sort()])
      if (seen.has(series)) throw new Error(`the same series twice: ${whole}`)
      seen.add(series)
      current.family.samples.push({ labels, value: Number(value.replace('Inf', 'Infinity')) })
    } else {
      throw new Error(`not a line of the format: ${JSON.stringify(line)}`)
    }
  }
  if (help !== undefined) throw new Error('HELP without a family')
  for (const [name, { type, samples }] of families) {
    if (samples.length === 0) throw new Error(`${name} has no samples`)
    // The conventions that promtool's linter demands.
    if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`)
    if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} counts below 0`)
  }
  return families
}

/** The value of one series. */
export function sample(families: Map<string, Family>, name: string, labels: Record<string, string>): number {
  const wanted = Object.entries(labels)
  const found = families.get(name)?.samples.filter((each) => wanted.every(([key, value]) => each.labels[key] === value))
  if (found?.length !== 1) throw new Error(`${found?.length ?? 0} series ${name}${JSON.stringify(labels)}`)
  return found[0]?.value ?? NaN
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (let rest = text; rest !== '';) {
    const [whole, name = '', value = ''] = LABEL.exec(rest) ?? []
    if (whole === undefined || name in labels) throw new Error(`not labels: ${text}`)
    labels[name] = value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
    rest = rest.slice(whole.length)
  }
  return labels
}

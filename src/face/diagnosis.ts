/** A diagnosis as people read it: a line for each finding, its cure below it, the count at the end. */

import type { Diagnosis } from '../doctor/diagnose.js'
import type { FindingStatus } from '../doctor/finding.js'

const COLORS: Readonly<Record<FindingStatus, number>> = { pass: 32, warn: 33, fail: 31 }

export function diagnosisText({ findings }: Diagnosis, { color }: { readonly color: boolean }): string {
  const idColumns = Math.max(...findings.map(({ id }) => id.length))
  const paint = (status: FindingStatus) => (color ? `\u001b[${COLORS[status]}m${status}\u001b[0m` : status)
  const lines = findings.flatMap(({ id, status, message, cure }) => [
    `${paint(status)}  ${id.padEnd(idColumns)}  ${message}`,
    ...(cure === undefined ? [] : [`${''.padEnd(idColumns + 8)}cure: ${cure}`]),
  ])
  const count = (wanted: FindingStatus) => findings.filter(({ status }) => status === wanted).length
  lines.push(`${count('pass')} passed, ${count('warn')} warned, ${count('fail')} failed`)
  return lines.map((line) => `${line}\n`).join('')
}

/** How a script speaks to a person: steps with their outcome, colours only where they can be seen. */

const coloured = process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
const colour = (code) => (text) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text)

export const bold = colour(1)
export const dim = colour(2)
export const red = colour(31)
export const green = colour(32)
export const cyan = colour(36)

/** What is about to be done. */
export function heading(text) {
  console.log(`\n${bold(text)}`)
}

/** A command, as a person would type it. */
export function typed(where, command) {
  console.log(`  ${dim(where.padEnd(7))}${cyan('$')} ${command}`)
}

/** What came of it. */
export function done(text) {
  console.log(`  ${green('✔')} ${text}`)
}

/** What went wrong. */
export function failed(text) {
  console.error(`  ${red('✘')} ${text}`)
}

/** A program's own words. */
export function quoted(where, text) {
  console.log(dim(`  ${where.padEnd(7)}  ${text}`))
}

/** What someone probably meant who wrote a word that does not exist. */

/** More changes than this in a word are another word. */
const MOST_CHANGES = 3

/** The known word that is nearest to the one written, if any is near enough for a guess. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  let best: { word: string; changes: number } | undefined
  // A short word is another word after fewer changes.
  const limit = Math.min(MOST_CHANGES, Math.ceil(written.length / 3))
  for (const word of known) {
    const changes = distance(written.toLowerCase(), word.toLowerCase())
    if (changes <= limit && (best === undefined || changes < best.changes)) best = { word, changes }
  }
  return best?.word
}

/** How many letters to insert, remove, replace or swap with their neighbour (optimal string alignment). */
function distance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity
  for (let row = 1; row <= from.length; row += 1) {
    rows.push([row])
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      rows[row]?.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (isSame ? 0 : 1),
          isSwap ? at(row - 2, column - 2) + 1 : Infinity,
        ),
      )
    }
  }
  return at(from.length, to.length)
}

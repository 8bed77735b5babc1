/** How many columns of a terminal a text takes, and texts cut or filled to a number of them. */

import { stripVTControlCharacters } from 'node:util'

/** East Asian wide and full-width characters, and emoji: two columns each (Unicode TR 11). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
/** Marks that stand on the character before them, joiners and selectors: no column. */
const NARROWEST = /[\p{Mn}\p{Me}\u200b-\u200f\u2060]/u

/** The text without anything that would move the cursor or change the screen. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}|\p{Co}|\p{Cn}/gu, '?')
}

export function columnsOf(text: string): number {
  return Array.from(text).reduce((columns, char) => columns + columnsOfChar(char), 0)
}

/** The text in exactly so many columns: cut at a character, filled with spaces. */
export function fit(text: string, columns: number): string {
  let taken = 0
  let kept = ''
  for (const char of text) {
    const more = columnsOfChar(char)
    if (taken + more > columns) break
    kept += char
    taken += more
  }
  return kept + ' '.repeat(Math.max(0, columns - taken))
}

function columnsOfChar(char: string): number {
  return NARROWEST.test(char) ? 0 : WIDE.test(char) ? 2 : 1
}

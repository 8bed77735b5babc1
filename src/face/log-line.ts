/** One event as one line that both people and programs read: `time level message key=value…`. */

export type Level = 'info' | 'warn' | 'error'

/** What a line carries beside its message. Fields without a value are left out. */
export type Fields = Readonly<Record<string, string | number | undefined>>

/** The line, without its end. */
export function logLine(time: Date, level: Level, message: string, fields: Fields): string {
  return `${time.toISOString()} ${level} ${eventText(message, fields)}`
}

/** The part of the line behind time and level. */
export function eventText(message: string, fields: Fields): string {
  const parts = Object.entries(fields).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${quote(String(value))}`],
  )
  return [message, ...parts].join(' ')
}

/** Quotes what would not read back as one word, as JSON does, so that no value can break a line or pose as another. */
function quote(value: string): string {
  return /^[\p{L}\p{N}\p{P}\p{S}]+$/u.test(value) && !/["=\\]/.test(value)
    ? value
    : escapeControls(JSON.stringify(value))
}

/** JSON leaves DEL, the C1 controls and the marks that turn the direction of text as they are; a terminal obeys them. */
function escapeControls(json: string): string {
  return json.replace(/\p{C}/gu, (char) =>
    Array.from({ length: char.length }, (_, unit) => char.charCodeAt(unit))
      .map((code) => `\\u${code.toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

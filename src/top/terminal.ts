/**
 * A terminal that is ours for a while and then as it was: alternate screen, no cursor, keys one by one.
 *
 * A frame is one write that overwrites every cell and erases nothing, so nothing flickers; wrapping is off, so that a
 * character that is wider than we think cannot push the rest down.
 */

import type { ReadStream, WriteStream } from 'node:tty'

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'

export interface Screen {
  readonly columns: number
  readonly rows: number
  /** Shows these lines from the first row on. */
  show(lines: readonly string[]): void
  /** Gives the terminal back as it was. Needs no event loop, and does nothing twice. */
  leave(): void
}

/** Takes the terminal. `onKey` hears each key, `onResize` that the size is another one now. */
export function enterScreen(
  input: ReadStream,
  output: WriteStream,
  { onKey, onResize }: { readonly onKey: (key: string) => void; readonly onResize: () => void },
): Screen {
  let isOurs = true
  const leave = (): void => {
    if (!isOurs) return
    isOurs = false
    process.off('exit', leave)
    output.off('resize', resized)
    input.off('data', heard)
    input.setRawMode(false)
    input.pause()
    output.write(LEAVE)
  }
  const heard = (bytes: Buffer): void => {
    for (const key of bytes.toString('utf8')) onKey(key)
  }
  const resized = (): void => {
    // What stood beyond the old edge is nobody's: begin with nothing.
    output.write('\u001b[2J')
    onResize()
  }
  process.on('exit', leave)
  output.on('resize', resized)
  input.setRawMode(true)
  input.resume()
  input.on('data', heard)
  output.write(ENTER)
  return {
    get columns() {
      return output.columns
    },
    get rows() {
      return output.rows
    },
    show: (lines) => {
      if (isOurs) output.write(HOME + lines.join('\r\n'))
    },
    leave,
  }
}

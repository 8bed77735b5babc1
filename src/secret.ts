/** A text that shows itself to nobody who does not ask for it: neither to logs nor to JSON nor to a debugger's print. */

import { inspect } from 'node:util'

const HIDDEN = '***'

export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  reveal(): string {
    return this.#text
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  [inspect.custom](): string {
    return HIDDEN
  }
}

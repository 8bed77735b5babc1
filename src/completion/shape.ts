/** What a completion script has to know of the commands: taken from oclif, so that it cannot say anything else. */

import type { Interfaces } from '@oclif/core'

/** What can stand where a value is wanted; undefined where only the user knows. */
export type Kind = 'file' | 'folder' | 'config' | 'tunnel' | readonly string[] | undefined

export interface FlagShape {
  readonly long: string
  readonly short: string | undefined
  readonly summary: string
  /** What the help calls its value; undefined for a switch. */
  readonly value: string | undefined
  readonly kind: Kind
  readonly isRepeatable: boolean
}

export interface CommandShape {
  /** Its words: `['config', 'check']`. */
  readonly words: readonly string[]
  readonly summary: string
  readonly flags: readonly FlagShape[]
  readonly args: readonly { readonly name: string; readonly kind: Kind }[]
}

/** A place in the command line where a word of a command is wanted. */
export interface TopicShape {
  /** The words before it; none at the beginning. */
  readonly words: readonly string[]
  readonly next: readonly { readonly word: string; readonly summary: string }[]
}

export interface Shapes {
  readonly commands: readonly CommandShape[]
  readonly topics: readonly TopicShape[]
}

/** Everything that help lists. */
export function shapesOf(config: Interfaces.Config): Shapes {
  const commands = config.commands
    .filter(({ hidden }) => !hidden)
    .map((command) => ({
      words: command.id.split(':'),
      summary: firstLine(command.summary ?? command.description),
      flags: [...Object.values(command.flags).flatMap(flagsOf), HELP],
      args: Object.values(command.args).map((arg) => ({
        name: arg.name,
        kind: arg.options ?? kindOfArgument(arg.name),
      })),
    }))
    .sort((a, b) => (a.words.join(' ') < b.words.join(' ') ? -1 : 1))
  const summaries = new Map(config.topics.map(({ name, description }) => [name, firstLine(description)]))
  for (const { words, summary } of commands) summaries.set(words.join(':'), summary)

  const topics = new Map<string, Set<string>>([['', new Set()]])
  for (const { words } of commands) {
    words.forEach((word, index) => {
      const before = words.slice(0, index).join(':')
      topics.set(before, (topics.get(before) ?? new Set()).add(word))
    })
  }
  return {
    commands,
    topics: [...topics].map(([name, next]) => {
      const words = name === '' ? [] : name.split(':')
      return {
        words,
        next: [...next].map((word) => ({ word, summary: summaries.get([...words, word].join(':')) ?? '' })),
      }
    }),
  }
}

const HELP: FlagShape = {
  ...{ long: 'help', short: 'h', summary: 'Show the help of this command.' },
  ...{ value: undefined, kind: undefined, isRepeatable: false },
}

type Flag = Interfaces.Config['commands'][number]['flags'][string]

function flagsOf(flag: Flag): FlagShape[] {
  if (flag.hidden === true) return []
  const summary = firstLine(flag.summary ?? flag.description)
  const common = { short: flag.char, summary, isRepeatable: false }
  if (flag.type === 'boolean') {
    const plain = { ...common, long: flag.name, value: undefined, kind: undefined }
    return flag.allowNo
      ? [plain, { ...plain, long: `no-${flag.name}`, short: undefined, summary: `Turn --${flag.name} off.` }]
      : [plain]
  }
  const value = (Array.isArray(flag.helpValue) ? flag.helpValue[0] : flag.helpValue) ?? flag.name.toUpperCase()
  // One that may be left out stands behind `=` in the same word, so the next word is none.
  if (value.startsWith('[')) return [{ ...common, long: flag.name, value: undefined, kind: undefined }]
  return [
    { ...common, long: flag.name, value, kind: flag.options ?? kindOf(value), isRepeatable: flag.multiple === true },
  ]
}

/** The names that our help has for values say what they are. */
function kindOf(name: string): Kind {
  switch (name.toUpperCase()) {
    case 'FILE':
    case 'PATH':
      return 'file'
    case 'DIR':
      return 'folder'
    case 'CONFIG':
      return 'config'
    default:
      return undefined
  }
}

/** NAME is that of a tunnel where a command is about one that runs; as a flag's value it is a new one. */
function kindOfArgument(name: string): Kind {
  return name.toUpperCase() === 'NAME' ? 'tunnel' : kindOf(name)
}

function firstLine(text: string | undefined): string {
  return (text ?? '').split('\n')[0] ?? ''
}

/** What the references say of each command, read from the manifest that the build leaves. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'

import { ROOT } from '../run.mjs'

const BIN = 'zportal'

/** Every command that help lists, in the order of the alphabet, with its flags in the order of the help. */
export function readCommands() {
  const { commands } = JSON.parse(readFileSync(join(ROOT, 'oclif.manifest.json'), 'utf8'))
  return Object.values(commands)
    .filter(({ hidden }) => !hidden)
    .map(readCommand)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readCommand({ id, summary, description = '', usage, examples = [], flags, args }) {
  const name = id.replaceAll(':', ' ')
  const shownFlags = Object.values(flags).filter(({ hidden }) => !hidden)
  const shownArgs = Object.values(args).filter(({ hidden }) => !hidden)
  return {
    name: `${BIN} ${name}`,
    summary: fill(summary ?? ''),
    paragraphs: fill(description)
      .split(/\n\s*\n/)
      .filter((text) => text !== ''),
    usage: [usage ?? [name, ...shownArgs.map(argument), ...(shownFlags.length > 0 ? ['[flags]'] : [])].join(' ')]
      .flat()
      .map((line) => `${BIN} ${fill(line)}`),
    args: shownArgs.map((arg) => ({
      name: arg.name.toUpperCase(),
      text: sentence(arg.description ?? '', arg.options),
    })),
    flags: shownFlags.map(readFlag),
    examples: examples.map((example) => readExample(fill(example))),
  }
}

function readFlag({ name, char, type, helpValue, summary, description, options, allowNo }) {
  return {
    short: char === undefined ? undefined : `-${char}`,
    long: allowNo ? `--[no-]${name}` : `--${name}`,
    ...readValue(type === 'boolean' ? undefined : ([helpValue].flat()[0] ?? name.toUpperCase())),
    text: sentence(fill(summary ?? description ?? ''), options),
  }
}

/** One in brackets may be left out, and then stands behind `=`. */
function readValue(shown) {
  const optional = /^\[(.*)\]$/.exec(shown ?? '')?.[1]
  return optional === undefined ? { value: shown } : { optional }
}

/** A line that is a command, or a sentence about the one that follows. */
function readExample(line) {
  const isCommand = new RegExp(`(^|[ (])(sudo )?${BIN}d? `).test(line) && !line.endsWith(':')
  return isCommand ? { command: line.replace(/^\$ /, '') } : { text: line }
}

function argument({ name, required }) {
  return required ? name.toUpperCase() : `[${name.toUpperCase()}]`
}

function sentence(text, options) {
  return options === undefined ? text : `${text} One of ${options.join(', ')}.`.trimStart()
}

/** Puts values into oclif's templates. */
function fill(text) {
  return text.replaceAll(/<%= *config\.bin *%>/g, BIN).replaceAll(/<%= *command\.id *%>/g, (id) => id)
}

/** The help of zportald: its usage, its flags, and what it says after them. */
export function readDaemonHelp() {
  const help = execFileSync(execPath, [join(ROOT, 'bin', 'zportald.js'), '-h'], { encoding: 'utf8' })
  const [usage, flags, after] = help.trim().split(/\n\n/)
  return {
    usage: usage.replace(/^usage: /, ''),
    flags: flags.split('\n').map((line) => {
      const [, short, value, text] = /^ +(-\w)(?: ([A-Z]+))? +(.*)$/.exec(line)
      return { short, value, text }
    }),
    after: after.split('\n'),
  }
}

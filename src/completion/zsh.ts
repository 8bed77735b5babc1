/** Completion for zsh: a function for each command and each topic, in the terms of `_arguments` and `_describe`. */

import type { CommandShape, FlagShape, Kind, Shapes, TopicShape } from './shape.js'

export function zsh({ commands, topics }: Shapes): string {
  return `#compdef zportal
# zsh completion for zportal; made by \`zportal completion zsh\`.

${[...topics.map(topicFunction), ...commands.map(commandFunction)].join('\n')}
_zportal_names_config() { compadd -- "\${ZPORTAL_CONFIG_DIR:-/etc/zportal}"/*.toml(N:t:r) }
_zportal_names_tunnel() {
  compadd -- "\${ZPORTAL_RUN_DIR:-/run/zportal}/$(stat -L -c %i /proc/self/ns/net)"/*.sock(N:t:r)
}

# Loaded as a file of completions it is called at once; read with source it only says who completes.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _zportal "$@"; else compdef _zportal zportal; fi
`
}

/** Offers the next word, and hands on to the function of the one that is there. */
function topicFunction({ words, next }: TopicShape): string {
  const offered = next.map(({ word, summary }) => `    ${quote(`${word}:${summary}`)}`)
  const cases = next.map(({ word }) => `      ${word}) ${functionName([...words, word])} ;;`)
  return `${functionName(words)}() {
  local line state
  local -a next=(
${offered.join('\n')}
  )
  _arguments -C '(- *)'{-h,--help}'[Show help.]' ${words.length === 0 ? `'(- *)'{-v,--version}'[Show the version.]' ` : ''}'1: :->next' '*:: :->rest'
  case $state in
    next) _describe command next ;;
    rest) case $line[1] in
${cases.join('\n')}
    esac ;;
  esac
}`
}

function commandFunction({ words, flags, args }: CommandShape): string {
  const specs = [
    ...flags.map(flagSpec),
    ...args.map(({ name, kind }, index) => `'${index + 1}:${name}:${action(kind)}'`),
  ]
  return `${functionName(words)}() {
  _arguments -s ${specs.join(' \\\n    ')}
}`
}

function flagSpec({ long, short, summary, value, kind, isRepeatable }: FlagShape): string {
  const about = `[${summary.replaceAll(/[[\]]/g, '\\$&')}]${value === undefined ? '' : `:${value}:${action(kind)}`}`
  const names = short === undefined ? [`--${long}`] : [`-${short}`, `--${long}`]
  // Either spelling makes both needless, unless it may be repeated.
  return names
    .map((name) =>
      quote(`${isRepeatable ? '*' : `(${names.join(' ')})`}${name}${about.replaceAll(/(?<=^\[[^\]]*):/g, '\\:')}`),
    )
    .join(' ')
}

function action(kind: Kind): string {
  switch (kind) {
    case undefined:
      return ' '
    case 'file':
      return '_files'
    case 'folder':
      return '_files -/'
    case 'config':
      return '_zportal_names_config'
    case 'tunnel':
      return '_zportal_names_tunnel'
    default:
      return `(${kind.join(' ')})`
  }
}

function functionName(words: readonly string[]): string {
  return ['_zportal', ...words].join('_').replaceAll('-', '_')
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** Completion for bash (4.2 or newer): one function that looks at the words before the cursor. */

import type { CommandShape, Kind, Shapes, TopicShape } from './shape.js'

export function bash({ commands, topics }: Shapes): string {
  const known = [...commands, ...topics].map(({ words }) => words.join(' ')).sort()
  return `# bash completion for zportal; made by \`zportal completion bash\`.

_zportal() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} before=
  local command= index commands=${quote(`${known.join('\n')}\n`)}
  COMPREPLY=()
  [[ $COMP_CWORD -gt 1 ]] && before=\${COMP_WORDS[COMP_CWORD - 2]}
  # bash ends words at = and at colons, too: --mtu=1400 is three words, unix:/path as well.
  [[ $current == = || $current == : ]] && before=$previous previous=$current current=
  [[ $previous == = ]] && previous=$before
  if [[ $previous == : && $before == unix ]]; then
    _zportal_file
    return
  fi
  for ((index = 1; index < COMP_CWORD; index++)); do
    [[ $commands == *$'\\n'"\${command:+$command }\${COMP_WORDS[index]}"$'\\n'* ]] || break
    command+=\${command:+ }\${COMP_WORDS[index]}
  done
  case $command in
${[...topics.map(topicCase), ...commands.map(commandCase)].join('\n')}
  esac
}

${HELPERS}
complete -F _zportal zportal
`
}

function topicCase({ words, next }: TopicShape): string {
  const flags = words.length === 0 ? ['--help', '--version'] : ['--help']
  return `    ${quote(words.join(' '))}) ${among([...next.map(({ word }) => word), ...flags])} ;;`
}

function commandCase({ words, flags, args }: CommandShape): string {
  const spellings = ({ long, short }: { long: string; short: string | undefined }) =>
    short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`]
  // Values that only the user knows: nothing is offered for them, other flags least of all.
  const own = flags.filter(({ value, kind }) => value !== undefined && kind === undefined).flatMap(spellings)
  const known = flags.filter(({ kind }) => kind !== undefined)
  const values = [
    ...(own.length === 0 ? [] : [`        ${own.join(' | ')}) return ;;`]),
    ...known.map((flag) => `        ${spellings(flag).join(' | ')}) ${offer(flag.kind)}; return ;;`),
  ]
  return [
    `    ${quote(words.join(' '))})`,
    ...(values.length === 0 ? [] : ['      case $previous in', ...values, '      esac']),
    `      if [[ $current == -* ]]; then ${among(flags.flatMap(spellings))}`,
    `      else ${offer(args[0]?.kind)}; fi ;;`,
  ].join('\n')
}

function offer(kind: Kind): string {
  if (kind === undefined) return ':'
  return typeof kind === 'string' ? `_zportal_${kind}` : among(kind)
}

function among(words: readonly string[]): string {
  return `mapfile -t COMPREPLY < <(compgen -W ${quote(words.join(' '))} -- "$current")`
}

const HELPERS = `_zportal_file() {
  compopt -o filenames
  mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
_zportal_folder() {
  compopt -o filenames
  mapfile -t COMPREPLY < <(compgen -d -- "$current")
}
_zportal_config() { _zportal_names "\${ZPORTAL_CONFIG_DIR:-/etc/zportal}" toml; }
_zportal_tunnel() { _zportal_names "\${ZPORTAL_RUN_DIR:-/run/zportal}/$(stat -L -c %i /proc/self/ns/net)" sock; }
_zportal_names() {
  local file
  for file in "$1/$current"*."$2"; do
    [[ -e $file ]] && file=\${file##*/} && COMPREPLY+=("\${file%."$2"}")
  done
}
`

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** Completion for fish: a rule for each word and each flag, with the condition under which it is offered. */

import type { CommandShape, FlagShape, Kind, Shapes } from './shape.js'

export function fish({ commands, topics }: Shapes): string {
  const rules = [
    ...topics.flatMap(({ words, next }) =>
      next.map(({ word, summary }) => `complete -c zportal -n ${exactly(words)} -a ${word} -d ${quote(summary)}`),
    ),
    `complete -c zportal -n ${exactly([])} -s v -l version -d 'Show the version.'`,
    `complete -c zportal -n ${exactly([])} -s h -l help -d 'Show help.'`,
    ...commands.flatMap(commandRules),
  ]
  return `# fish completion for zportal; made by \`zportal completion fish\`.

# Whether the command line begins with these words; with "exactly", whether no other word follows them.
function __zportal_at
    set -l words (commandline -opc)[2..]
    set -l exactly no
    if test "$argv[1]" = exactly
        set exactly yes
        set -e argv[1]
    end
    test (count $words) -ge (count $argv); or return 1
    for index in (seq (count $argv))
        test "$words[$index]" = "$argv[$index]"; or return 1
    end
    test $exactly = no; or test (count $words) -eq (count $argv)
end
function __zportal_names
    string replace -r '.*/(.*)\\.'$argv[2]'$' '$1' -- $argv[1]/*.$argv[2]
end
function __zportal_config
    set -q ZPORTAL_CONFIG_DIR; and __zportal_names $ZPORTAL_CONFIG_DIR toml; or __zportal_names /etc/zportal toml
end
function __zportal_tunnel
    set -l folder /run/zportal
    set -q ZPORTAL_RUN_DIR; and set folder $ZPORTAL_RUN_DIR
    __zportal_names $folder/(stat -L -c %i /proc/self/ns/net) sock
end

complete -c zportal -f
${rules.join('\n')}
`
}

function commandRules({ words, flags, args }: CommandShape): string[] {
  const kind = args[0]?.kind
  const argument = kind === undefined ? [] : [`complete -c zportal -n ${at(words)} ${offer(kind)}`]
  return [...flags.map((flag) => `complete -c zportal -n ${at(words)} ${flagRule(flag)}`), ...argument]
}

function flagRule({ long, short, summary, value, kind }: FlagShape): string {
  const named = [...(short === undefined ? [] : [`-s ${short}`]), `-l ${long}`, `-d ${quote(summary)}`].join(' ')
  // -x: a value must follow, and files are none.
  return value === undefined ? named : `${named} ${kind === 'file' ? '-r' : '-x'} ${offer(kind)}`.trimEnd()
}

function offer(kind: Kind): string {
  switch (kind) {
    case undefined:
      return ''
    case 'file':
      return '-F'
    case 'folder':
      return `-a '(__fish_complete_directories)'`
    case 'config':
      return `-a '(__zportal_config)'`
    case 'tunnel':
      return `-a '(__zportal_tunnel)'`
    default:
      return `-a ${quote(kind.join(' '))}`
  }
}

function at(words: readonly string[]): string {
  return quote(`__zportal_at ${words.join(' ')}`)
}

function exactly(words: readonly string[]): string {
  return quote(['__zportal_at exactly', ...words].join(' '))
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`
}

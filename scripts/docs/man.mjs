/** The man pages, in mdoc(7): what the commands say, and the few things that belong to no command alone. */
/** Some readers of the source still want it so; escapes come on top. */
const LINE_MAX_CHARS = 76
const TAGLINE = 'carries IP packets over one byte stream'

/** zportal(1). */
export function zportalPage(commands) {
  return page('zportal', [
    section('NAME', ['.Nm zportal', `.Nd ${TAGLINE}`]),
    section('SYNOPSIS', synopsis(commands.flatMap(({ usage }) => usage))),
    section('DESCRIPTION', [
      ...text(
        'Creates a TUN device and carries its packets to the other end over one byte stream: TCP, a Unix socket, or either through a chain of proxies. Both ends run the same program; one listens, the other dials.',
      ),
      '.Pp',
      ...text(
        'There is no authentication and no encryption. Whoever can connect to the listening end becomes its peer, and whoever sits on the way reads and changes packets.',
      ),
    ]),
    section('COMMANDS', commands.flatMap(command)),
    section('ADDRESSES', [
      ...text('Where a stream listens or leads to is written as'),
      ...list([
        ['192.0.2.1:7000, [2001:db8::1]:7000, [fe80::1%eth0]:7000', 'TCP.'],
        ['host.example:7000', 'TCP; every address of the name is tried. Behind a proxy, the proxy looks the name up.'],
        ['unix:/path', 'A Unix socket with a file, mode 0600.'],
        ['unixa:name', 'An abstract Unix socket, within one network namespace.'],
      ]),
    ]),
    section('PROXIES', [
      ...text('A proxy is written as'),
      ...list([
        ['ADDR', 'One of the addresses above: SOCKS5 without a password.'],
        ['socks5://[USER[:PASSWORD]@]HOST:PORT', 'SOCKS5 (RFC 1928), with a password if it asks (RFC 1929).'],
        ['http://[USER[:PASSWORD]@]HOST:PORT', 'HTTP CONNECT, with Basic authentication.'],
        ['socks5+unix:/path, http+unix:/path', 'The same over a Unix socket; +unixa: over an abstract one.'],
        ['socks5+unix://USER:PASSWORD@/path', 'The same with a password.'],
      ]),
      '.Pp',
      ...text(
        'USER and PASSWORD are percent-encoded. A USER without PASSWORD gets it from the password file or the environment.',
      ),
    ]),
    section(
      'ENVIRONMENT',
      list([
        [
          'ZPORTAL_PROXY_PASSWORD',
          'Passwords, one a line, for the proxies whose URLs name a user only, if no file gives them.',
        ],
        ['ZPORTAL_CONFIG_DIR', 'Another folder than /etc/zportal.'],
        ['ZPORTAL_RUN_DIR', 'Another folder than /run/zportal.'],
        ['ZPORTAL_PROXY_PASSWORD', 'The password of the proxy whose URL names a user only.'],
        ['NO_COLOR', 'Nothing is shown in colours.'],
      ]),
    ),
    section(
      'FILES',
      list([
        ['/etc/zportal/NAME.toml', 'The config that "zportal up NAME" reads.'],
        [
          '/run/zportal/NETNS/NAME.sock',
          'Where a running tunnel is asked; NETNS is the number of its network namespace.',
        ],
      ]),
    ),
    section('EXIT STATUS', [
      ...list([
        ['0', 'Done; for a tunnel in the foreground, after SIGINT or SIGTERM.'],
        ['1', 'It failed.'],
        ['2', 'The command line or the config file is wrong; trying it again cannot help.'],
        ['3', 'The tunnel that was asked for is looking for its peer.'],
        ['4', 'It does not run.'],
      ]),
      '.Pp',
      ...text('Failures are told on standard error as "ZP_CODE: sentence". Each code has a cause and a cure in'),
      '.Lk https://github.com/zportal/zportal/blob/main/docs/ERRORS.md .',
    ]),
    section('SEE ALSO', ['.Xr zportald 1 ,', '.Xr ip 8']),
  ])
}

/** zportald(1). */
export function daemonPage({ usage, flags, after }) {
  return page('zportald', [
    section('NAME', ['.Nm zportald', `.Nd ${TAGLINE}`]),
    section('SYNOPSIS', synopsis([usage])),
    section('DESCRIPTION', [
      ...text(
        "Brings up one tunnel in the foreground, with the original zportald's command line and nothing beside it.",
      ),
      '.Bl -tag -width Ds',
      ...flags.flatMap(({ short, value, text: words }) => [
        `.It Fl ${short.slice(1)}${value === undefined ? '' : ` Ar ${value}`}`,
        ...text(words),
      ]),
      '.El',
      '.Pp',
      ...after.flatMap((line) => text(line)),
    ]),
    section('SEE ALSO', ['.Xr zportal 1']),
  ])
}

/** A page without its date: two that differ only in that say the same. */
export function undated(page) {
  return page.replace(/^\.Dd .*$/m, '.Dd')
}

function page(name, sections) {
  const date = new Date().toLocaleDateString('en-US', {
    year: 'numeric',
    month: 'long',
    day: 'numeric',
    timeZone: 'UTC',
  })
  const head = [`.\\" Made by npm run docs.`, `.Dd ${date}`, `.Dt ${name.toUpperCase()} 1`, '.Os']
  return `${[...head, ...sections.flat()].join('\n')}\n`
}

function section(title, lines) {
  return [`.Sh ${title}`, ...lines]
}

function synopsis(usages) {
  return usages.flatMap((usage) => {
    const [name, ...words] = usage.split(' ')
    return [`.Nm ${name}`, styled(words.join(' '))]
  })
}

/** The signs of a usage line: what is typed as it stands in bold, what is replaced in italics. */
function styled(usage) {
  const [, words, rest] = /^((?:[a-z-]+ ?)*)(.*)$/.exec(usage)
  return (
    bold(words) +
    rest.replaceAll(/-{1,2}[a-z-]+|\b[A-Z]+\b/g, (sign) => (sign.startsWith('-') ? bold(sign) : `\\fI${sign}\\fR`))
  )
}

function bold(words) {
  return words.replaceAll(/[\w-]+/g, (word) => `\\fB${word.replaceAll('-', '\\-')}\\fR`)
}

function command({ name, summary, paragraphs, args, flags, examples }) {
  const described = [
    ...args.flatMap(({ name: arg, text: words }) => [`.It Ar ${arg}`, ...text(words)]),
    ...flags.flatMap(({ short, long, value, optional, text: words }) => [
      `.It ${[...(short === undefined ? [] : [`Fl ${short.slice(1)} ,`]), `Fl ${long.slice(1)}`].join(' ')}${value === undefined ? (optional === undefined ? '' : ` Ns Oo = Ns Ar ${optional} Oc`) : ` Ar ${value}`}`,
      ...text(words),
    ]),
  ]
  return [
    `.Ss ${name}`,
    ...text(summary),
    ...paragraphs.flatMap((paragraph) => ['.Pp', ...text(paragraph)]),
    ...(described.length === 0 ? [] : ['.Bl -tag -width Ds', ...described, '.El']),
    ...(examples.length === 0 ? [] : ['.Pp', 'Examples:', '.Bd -literal -offset indent', ...literal(examples), '.Ed']),
  ]
}

function literal(examples) {
  return examples.map(({ command, text: words }) => escape(command ?? `# ${words}`))
}

function list(rows) {
  return ['.Bl -tag -width Ds', ...rows.flatMap(([what, words]) => [`.It ${escape(what)}`, ...text(words)]), '.El']
}

/** Running text: each sentence begins a line, as mdoc wants it, for the right space after each. */
function text(words) {
  return words
    .split('\n')
    .flatMap((line) => line.split(/(?<=[a-z\d)"][.;]) (?=[A-Z"])/))
    .flatMap((sentence) => wrap(sentence.trim()))
    .filter((line) => line !== '')
    .map(escape)
}

function wrap(sentence) {
  const lines = ['']
  for (const word of sentence.split(/ +/)) {
    if (lines.at(-1).length + word.length >= LINE_MAX_CHARS) lines.push('')
    lines.push([lines.pop(), word].join(' ').trimStart())
  }
  return lines
}

/** Text that must not be taken for requests or escapes. */
function escape(words) {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll(/(?<=^|[\s("[])-/g, '\\-')
    .replaceAll(/(?<=\\-)-/g, '\\-')
    .replace(/^(?=[.'])/, '\\&')
}

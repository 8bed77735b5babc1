/** docs/CLI.md: what `zportal COMMAND --help` says of every command, on one page. */

export function cliReference(commands) {
  return `# Commands

Made from the commands by \`npm run docs\`; the same as \`zportal COMMAND --help\` and \`man zportal\`.

| command | what it does |
|---|---|
${commands.map(({ name, summary }) => `| [\`${name}\`](#${anchor(name)}) | ${cell(summary)} |`).join('\n')}

${commands.map(section).join('\n')}`
}

function section({ name, summary, paragraphs, usage, args, flags, examples }) {
  return [
    `## ${name}\n`,
    `${summary}\n`,
    `\`\`\`\n${usage.join('\n')}\n\`\`\`\n`,
    ...paragraphs.map((text) => `${prose(text)}\n`),
    ...(args.length + flags.length === 0 ? [] : [table(args, flags)]),
    ...(examples.length === 0 ? [] : [exampleBlock(examples)]),
  ].join('\n')
}

function table(args, flags) {
  const rows = [
    ...args.map(({ name, text }) => [`\`${name}\``, text]),
    ...flags.map(({ short, long, value, optional, text }) => {
      const spelled = short === undefined ? long : `${short}, ${long}`
      const shown = value === undefined ? (optional === undefined ? '' : `[=${optional}]`) : ` ${value}`
      return [`\`${spelled}${shown}\``, text]
    }),
  ]
  return `| | |\n|---|---|\n${rows.map(([what, text]) => `| ${what} | ${cell(text)} |`).join('\n')}\n`
}

function exampleBlock(examples) {
  return `\`\`\`sh\n${examples.map(({ command, text }) => command ?? `# ${text}`).join('\n')}\n\`\`\`\n`
}

/** Lists and drawings stay lines of their own. */
function prose(text) {
  return /\n +/.test(text) ? `\`\`\`\n${text}\n\`\`\`` : text
}

function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function anchor(name) {
  return name.replaceAll(' ', '-')
}

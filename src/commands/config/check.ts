import { readConfig } from '../../config/file.js'
import { takeLogLevel } from '../../config/log-level.js'
import { request } from '../../config/request.js'
import { ZPortalError } from '../../errors.js'
import { EXIT_USAGE } from '../../face/command.js'
import { CONFIG_ARGS } from '../../face/arguments.js'
import { ConfigCommand } from '../../face/config-command.js'
import type { NameOf } from '../../face/failure.js'
import { failureLines } from '../../face/failure.js'
import { parseOptions } from '../../options.js'

/** `zportal config check`: everything `up` would refuse, without creating anything. */
export default class ConfigCheck extends ConfigCommand {
  static override summary = 'Say whether a config file is right, with the line of everything that is not.'

  static override description = `Reads the file as "up" does, secrets included, and creates nothing. Exit code: 0 when it is right, 2 when it is not.`

  static override examples = [
    '<%= config.bin %> config check lab',
    '<%= config.bin %> config check -f ./lab.toml --json',
  ]

  static override args = CONFIG_ARGS

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ConfigCheck)
    const path = this.fileOf(args, flags)
    const problems = await refusals(path)
    const warnings = problems.length === 0 ? readConfig(path).warnings() : []
    if (problems.length > 0) process.exitCode = EXIT_USAGE
    if (flags.json) {
      this.log(JSON.stringify({ version: 1, file: path, ok: problems.length === 0, problems, warnings }))
      return
    }
    for (const line of [...problems, ...warnings.map((warning) => `warning: ${warning}`)]) this.logToStderr(line)
    if (problems.length === 0) this.log(`${path} is right`)
  }
}

/** Why `up` would not take the file, a line each. */
async function refusals(path: string): Promise<string[]> {
  let nameOf: NameOf = (option) => option
  try {
    const asked = await request({}, { file: path }, process.env)
    nameOf = asked.nameOf
    parseOptions(takeLogLevel(asked.options).options)
    return []
  } catch (error) {
    if (!(error instanceof ZPortalError)) throw error
    return failureLines(error, nameOf).trimEnd().split('\n')
  }
}

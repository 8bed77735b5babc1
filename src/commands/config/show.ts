import { readConfig } from '../../config/file.js'
import { shown, toToml } from '../../config/render.js'
import { CONFIG_ARGS } from '../../face/arguments.js'
import { ConfigCommand } from '../../face/config-command.js'

/** `zportal config show`: what a file says and where, without secrets. */
export default class ConfigShow extends ConfigCommand {
  static override summary = 'Print the settings of a config file with their origin and the defaults, without secrets.'

  static override examples = ['<%= config.bin %> config show lab', '<%= config.bin %> config show -f ./lab.toml --json']

  static override args = CONFIG_ARGS

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ConfigShow)
    const path = this.fileOf(args, flags)
    const settings = shown(readConfig(path))
    if (flags.json) this.log(JSON.stringify({ version: 1, file: path, settings }))
    else process.stdout.write(toToml(settings))
  }
}

import { jsonSchema } from '../../config/schema.js'
import { FaceCommand } from '../../face/command.js'

/** `zportal config schema`: for editors that complete and check TOML. */
export default class ConfigSchema extends FaceCommand {
  static override summary = 'Print the JSON Schema of config files.'

  static override description = `Write it to a file and name it in the first line of a config, and editors with a TOML plug-in complete and check keys: "#:schema ./zportal.schema.json".`

  static override examples = ['<%= config.bin %> config schema > zportal.schema.json']

  async run(): Promise<void> {
    await this.parse(ConfigSchema)
    this.log(JSON.stringify(jsonSchema(), null, 2))
  }
}

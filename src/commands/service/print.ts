import { REQUIRED_CONFIG_ARGS } from '../../face/arguments.js'
import { FaceCommand } from '../../face/command.js'
import { unitFacts } from '../../service/facts.js'
import { unitText } from '../../service/unit.js'

/** `zportal service print`: the unit, for those who want to see it or to write it themselves. */
export default class ServicePrint extends FaceCommand {
  static override summary = 'Print the systemd unit that runs a tunnel as a service.'

  static override description = `CONFIG stands for /etc/zportal/CONFIG.toml. The unit runs "zportal up" as a user of its own with CAP_NET_ADMIN and nothing else; it is ready once traffic can flow. docs/SERVICE.md says why each line is there.`

  static override examples = ['<%= config.bin %> service print lab']

  static override args = REQUIRED_CONFIG_ARGS

  async run(): Promise<void> {
    const { args } = await this.parse(ServicePrint)
    process.stdout.write(unitText(unitFacts(args.config, process.env)))
  }
}

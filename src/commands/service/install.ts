import { Flags } from '@oclif/core'
import { REQUIRED_CONFIG_ARGS } from '../../face/arguments.js'
import { FaceCommand } from '../../face/command.js'
import { unitFacts } from '../../service/facts.js'
import { install, UNIT_FOLDER, unitPath } from '../../service/install.js'
import { unitName, unitText } from '../../service/unit.js'

/** `zportal service install`: a config becomes a service. */
export default class ServiceInstall extends FaceCommand {
  static override summary = 'Install a systemd unit that runs a tunnel as a service.'

  static override description = `Writes what "service print" prints to ${UNIT_FOLDER}/zportal@CONFIG.service and lets systemd read it. It starts nothing: "systemctl enable --now zportal@CONFIG" does.`

  static override examples = [
    '<%= config.bin %> service install lab --dry-run',
    '<%= config.bin %> service install lab && systemctl enable --now zportal@lab',
  ]

  static override args = REQUIRED_CONFIG_ARGS

  static override flags = {
    'dry-run': Flags.boolean({ summary: 'Say what would be written, and write nothing.' }),
    'unit-dir': Flags.string({ helpValue: 'DIR', default: UNIT_FOLDER, summary: 'Where units lie.' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ServiceInstall)
    const folder = flags['unit-dir']
    const text = unitText(unitFacts(args.config, process.env))
    const path = unitPath(args.config, folder)
    if (flags['dry-run']) {
      process.stdout.write(`# would be written to ${path}\n${text}`)
      return
    }
    const { reloaded } = install(args.config, text, folder)
    process.stdout.write(`${path} is written\n`)
    const reload = reloaded ? '' : 'systemctl daemon-reload && '
    process.stdout.write(`start it, now and at each boot: ${reload}systemctl enable --now ${unitName(args.config)}\n`)
  }
}

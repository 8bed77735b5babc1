import { Flags } from '@oclif/core'
import { takeLogLevel } from '../config/log-level.js'
import { request } from '../config/request.js'
import { diagnose } from '../doctor/diagnose.js'
import { EXIT_FAILURE, FaceCommand } from '../face/command.js'
import { diagnosisText } from '../face/diagnosis.js'
import { hidePasswords } from '../face/process-title.js'
import { withValues } from '../face/setting-flags.js'
import Up from './up.js'

/** `zportal doctor`: what would keep `zportal up` with the same flags from working. */
export default class Doctor extends FaceCommand {
  static override summary = 'Find out what would keep a tunnel from working, and how to cure it.'

  static override description = `Takes the flags of \`up\` and looks at everything that such a tunnel needs: the kernel, io_uring, /dev/net/tun, permissions, names and addresses, and every hop on the way in turn. Without -b and -c it looks at the machine alone. It leaves nothing behind; the peer sees a connection that says nothing.

Exit code: 0 when nothing failed, 1 when something did, 2 when the command line is wrong. docs/DOCTOR.md explains each id.`

  static override usage = ["doctor [--json] [up's flags]", "doctor [--json] (CONFIG | -f FILE) [up's flags]"]

  static override examples = [
    '<%= config.bin %> doctor',
    '<%= config.bin %> doctor -n zt0 -a 10.10.0.2/24 -p 192.0.2.9:1080 -c server.example:7000',
  ]

  static override args = Up.args

  static override flags = {
    ...Up.flags,
    json: Flags.boolean({ summary: 'Print one JSON object, for programs.' }),
  }

  async run(): Promise<void> {
    hidePasswords(process)
    const { args, flags } = await this.parse(Doctor, withValues(this.argv))
    const { options, nameOf } = await request(flags, { config: args.config, file: flags.file }, process.env)
    this.nameOf = nameOf
    const diagnosis = await diagnose(takeLogLevel(options).options)
    const color = process.stdout.isTTY && process.stdout.hasColors()
    process.stdout.write(flags.json ? `${JSON.stringify(diagnosis)}\n` : diagnosisText(diagnosis, { color }))
    if (!diagnosis.ok) process.exitCode = EXIT_FAILURE
  }
}

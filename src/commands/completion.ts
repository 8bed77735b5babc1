import { Args } from '@oclif/core'
import { bash } from '../completion/bash.js'
import { fish } from '../completion/fish.js'
import { shapesOf } from '../completion/shape.js'
import { zsh } from '../completion/zsh.js'
import { FaceCommand } from '../face/command.js'

const SHELLS = { bash, fish, zsh }

/** `zportal completion`: a script for a shell, from what oclif knows of the commands. */
export default class Completion extends FaceCommand {
  static override summary = 'Print a script with which a shell completes commands, flags and names.'

  static override description = `Write it where your shell looks for such scripts, or read it from the shell's own start-up file.`

  static override examples = [
    '<%= config.bin %> completion bash > /etc/bash_completion.d/zportal',
    '<%= config.bin %> completion zsh > /usr/local/share/zsh/site-functions/_zportal',
    '<%= config.bin %> completion fish > ~/.config/fish/completions/zportal.fish',
    'For this shell alone:',
    'source <(<%= config.bin %> completion bash)',
  ]

  static override args = {
    shell: Args.string({
      name: 'SHELL',
      required: true,
      ignoreStdin: true,
      options: Object.keys(SHELLS),
      description: 'Which shell.',
    }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(Completion)
    const make = SHELLS[args.shell as keyof typeof SHELLS]
    process.stdout.write(make(shapesOf(this.config)))
  }
}

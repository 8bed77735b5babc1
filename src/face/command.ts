/** What all commands share: failures are told in our words and end with our exit codes. */

import { Command, Errors } from '@oclif/core'
import { ZPortalError } from '../errors.js'
import { redactWords } from '../redact.js'
import type { NameOf } from './failure.js'
import { failureLines } from './failure.js'

/** Exit code for a tunnel that failed. */
export const EXIT_FAILURE = 1
/** Exit code for a command line or a config file that is wrong: trying it again cannot help. */
export const EXIT_USAGE = 2

export abstract class FaceCommand extends Command {
  /** How messages call the options of the API. */
  protected nameOf: NameOf = (option) => option

  /** Turns what `run` throws into lines on stderr and an exit code. Defects of ours keep their stack. */
  protected override async catch(error: Error & { exitCode?: number }): Promise<void> {
    if (error instanceof ZPortalError) {
      process.stderr.write(failureLines(error, this.nameOf))
      process.exitCode = error.code === 'ZP_OPTION' || error.code === 'ZP_CONFIG' ? EXIT_USAGE : EXIT_FAILURE
    } else if (error instanceof Errors.CLIError && error.oclif.exit === EXIT_USAGE) {
      process.stderr.write(`ZP_OPTION: ${redactWords(error.message)}\n`)
      process.exitCode = EXIT_USAGE
    } else {
      await super.catch(error)
    }
  }
}

/** What all commands share: failures are told in our words and end with our exit codes. */

import { Command, Errors } from '@oclif/core'
import type { ErrorCode } from '../errors.js'
import { ZPortalError } from '../errors.js'
import { redactWords } from '../redact.js'
import type { NameOf } from './failure.js'
import { failureLines } from './failure.js'

/** Exit code for a tunnel that failed. */
export const EXIT_FAILURE = 1
/** Exit code for a command line or a config file that is wrong: trying it again cannot help. */
export const EXIT_USAGE = 2
/** Exit code of a command that needs a tunnel which is up, for one that is not. */
export const EXIT_NOT_UP = 3
/** Exit code when the tunnel that is meant does not run. */
export const EXIT_NOT_RUNNING = 4

const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  ZP_OPTION: EXIT_USAGE,
  ZP_CONFIG: EXIT_USAGE,
  ZP_NOT_UP: EXIT_NOT_UP,
  ZP_NOT_RUNNING: EXIT_NOT_RUNNING,
}

export abstract class FaceCommand extends Command {
  /** How messages call the options of the API. */
  protected nameOf: NameOf = (option) => option

  /** Turns what `run` throws into lines on stderr and an exit code. Defects of ours keep their stack. */
  protected override async catch(error: Error & { exitCode?: number }): Promise<void> {
    if (error instanceof ZPortalError) {
      process.stderr.write(failureLines(error, this.nameOf))
      process.exitCode = EXIT_CODES[error.code] ?? EXIT_FAILURE
    } else if (error instanceof Errors.CLIError && error.oclif.exit === EXIT_USAGE) {
      process.stderr.write(`ZP_OPTION: ${redactWords(error.message)}\n`)
      process.exitCode = EXIT_USAGE
    } else {
      await super.catch(error)
    }
  }
}

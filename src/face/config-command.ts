/** What `zportal config check` and `show` share: which file is meant, and JSON on demand. */

import { Flags } from '@oclif/core'
import { pathOf } from '../config/file.js'
import { ZPortalError } from '../errors.js'
import { FaceCommand } from './command.js'

export abstract class ConfigCommand extends FaceCommand {
  static override flags = {
    file: Flags.string({ char: 'f', helpValue: 'FILE', summary: 'Config file, wherever it lies.' }),
    json: Flags.boolean({ summary: 'Print JSON.' }),
  }

  /** @throws {@link ZPortalError} `ZP_OPTION` unless exactly one file is meant. */
  protected fileOf({ config }: { config?: string | undefined }, { file }: { file?: string | undefined }): string {
    if (file !== undefined && config === undefined) return file
    if (config !== undefined && file === undefined) return pathOf(config, process.env)
    const got = config === undefined ? 'neither' : 'both'
    throw new ZPortalError('ZP_OPTION', `which file? Give a CONFIG or --file, got ${got}`)
  }
}

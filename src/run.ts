/** `zportal`: hands the command line to oclif, which finds the command in `commands/` by its name. */

import { execute, settings } from '@oclif/core'

// Commands are run from dist/ only. Where NODE_ENV is test or development, oclif would load all of TypeScript to look for
// their sources: 0.3 s and 40 MiB for nothing.
settings.enableAutoTranspile = false

await execute({ dir: import.meta.url })

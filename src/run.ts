/** `zportal`: hands the command line to oclif, which finds the command in `commands/` by its name. */

import { execute } from '@oclif/core'

await execute({ dir: import.meta.url })

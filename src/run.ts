/** `zportal`: hands the command line to oclif, which finds the command in `commands/` by its name. */

import './face/lean.js'
import { fileURLToPath } from 'node:url'
import { execute, settings } from '@oclif/core'

// Commands are run from dist/ only. Where NODE_ENV is test or development, oclif would load all of TypeScript to look for
// their sources: 0.3 s and 40 MiB for nothing.
settings.enableAutoTranspile = false

// There are no plugins of the user's. oclif would look for them in their home, and complain where a service may not.
await execute({ loadOptions: { root: fileURLToPath(import.meta.url), userPlugins: false } })

/**
 * The arguments of the commands. They come from the command line alone: the parser would also take one that is left out
 * from a stdin that is no terminal, and with it the rest of a script that a shell is reading.
 */

import { Args } from '@oclif/core'

const CONFIG = { name: 'CONFIG', ignoreStdin: true, description: 'Name of a config: /etc/zportal/CONFIG.toml.' }

/** For each command to have as its own: the parser does not see arguments that are inherited. */
export const CONFIG_ARGS = { config: Args.string(CONFIG) }

export const REQUIRED_CONFIG_ARGS = { config: Args.string({ ...CONFIG, required: true }) }

export const TARGET_ARGS = {
  name: Args.string({
    name: 'NAME',
    ignoreStdin: true,
    description: 'The device; not needed while only one tunnel runs here.',
  }),
}

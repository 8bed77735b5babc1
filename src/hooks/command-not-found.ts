import type { Hook } from '@oclif/core'
import { Errors } from '@oclif/core'
import { EXIT_USAGE } from '../face/command.js'

/** Tells in our words that there is no such command. oclif takes `zportal up word` for a command `up:word`, too. */
const commandNotFound: Hook<'command_not_found'> = ({ id, config }) => {
  const words = id.split(':')
  const known = words.slice(0, -1).join(':')
  const what =
    config.findCommand(known) === undefined
      ? `there is no command ${JSON.stringify(words.join(' '))}; ${config.bin} --help lists them`
      : `${known.replaceAll(':', ' ')} takes no argument, got ${JSON.stringify(words.at(-1))}`
  process.stderr.write(`ZP_OPTION: ${what}\n`)
  return Promise.reject(new Errors.ExitError(EXIT_USAGE))
}

export default commandNotFound

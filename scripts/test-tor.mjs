/**
 * `npm run test:tor`: tunnels through a private Tor network on this machine, to an exit and to an onion service. Takes
 * two minutes and is no part of `npm test`.
 *
 * Tor is unpacked, not installed, so none is started here for good; the network lives in namespaces and in a temporary
 * directory, and the tests prove that nothing of it remains. `--no-ensure` goes straight to the tests.
 */
import { argv } from 'node:process'

import { ensure, Unmet } from './ensure.mjs'
import { endWithSignals, run } from './run.mjs'

endWithSignals()
process.exitCode = await main()

async function main() {
  if (!argv.includes('--no-ensure')) {
    try {
      await ensure({ tor: true })
    } catch (error) {
      if (!(error instanceof Unmet)) throw error
      console.error(error.message)
      return 1
    }
  }
  const { code } = await run('npx', ['vitest', 'run', '--project', 'tor', '--reporter=verbose'])
  return code
}

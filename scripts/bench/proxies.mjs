/** Real SOCKS5 proxies between the client and the slow link: each on a host of its own, in the order of the chain. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { program } from '../ensure.mjs'
import { proxyHost } from './lab.mjs'
import { listens, OWNER, start, until } from './programs.mjs'

const PORT = 1080
/** How long one may take to listen, in milliseconds. */
const LISTENS_MS = 10_000

/** What has to be installed for each kind. */
export const PROXY_PROGRAMS = { microsocks: 'microsocks', dante: 'danted' }

/** Starts them on hosts that stand, and gives each with where it is reached, the one next to the client first. */
export async function startProxies(kinds) {
  const chain = []
  for (const [index, kind] of kinds.entries()) {
    const host = proxyHost(index + 1)
    const proxy = start(
      host,
      kind === 'dante' ? dante(host, index + 1 === kinds.length) : ['microsocks', '-i', host.outer, '-p', String(PORT)],
    )
    await until(`${kind} listens`, LISTENS_MS, () => listens(proxy, PORT), [proxy])
    chain.push({ proxy, address: `${host.outer}:${PORT}` })
  }
  return chain
}

/** In one process: its children would listen, and not itself. The folder carries its owner's name, and goes with it. */
function dante({ outer }, isLast) {
  const folder = mkdtempSync(join(tmpdir(), `${OWNER}-`))
  const config = join(folder, 'danted.conf')
  writeFileSync(
    config,
    `logoutput: ${join(folder, 'log')}
internal: ${outer} port = ${PORT}
external: ${isLast ? 'eth0' : 'eth1'}
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 protocol: tcp }
`,
  )
  return [program('danted'), '-f', config, '-p', join(folder, 'pid'), '-N', '1']
}

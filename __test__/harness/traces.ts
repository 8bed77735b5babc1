/** What programs can leave on a host: devices, addresses, routes, rules, control sockets. Equal texts, equal hosts. */
import { readdirSync } from 'node:fs'

import { until } from './deadline.js'
import type { Namespace } from './namespace.js'

/** All that the kernel holds for a host; one line each. Of addresses that are still being tried out it waits for the end. */
export async function traces(host: Namespace): Promise<string> {
  await until('the end of duplicate address detection', 10_000, async () => {
    return (await host.ip('-6', 'address', 'show', 'tentative')).trim() === ''
  })
  const shown = await Promise.all([
    host.ip('-brief', 'address', 'show'),
    host.ip('route', 'show', 'table', 'all'),
    host.ip('-6', 'route', 'show', 'table', 'all'),
    host.ip('rule', 'show'),
  ])
  return shown.join('\n').trim()
}

/** The control sockets of a host's tunnels, the locks beside them included; they lie in the file system. */
export function controlFiles(host: Namespace): string[] {
  try {
    return readdirSync(`/run/zportal/${host.inode}`)
  } catch {
    return [] // The folder goes with its last tunnel.
  }
}

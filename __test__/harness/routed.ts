/** A client and a server with a router between them, routes into a tunnel, and what of them is where. */
import { writeFileSync } from 'node:fs'

import { expect } from 'vitest'

import { until } from './deadline.js'
import type { Lab } from './lab.js'
import { join, type Namespace } from './namespace.js'
import { ping } from './ping.js'
import type { Child } from './process.js'
import { innerOf, PORT } from './topology.js'
import { event, flags, up, zportal } from './zportal.js'

export const SERVER = '192.0.2.18'
export const SERVER6 = '2001:db8:2::18'
export const INSIDE = { ipv4: '198.51.100.1', ipv6: '2001:db8:99::1' }
export const EVERYTHING = ['--route', '0.0.0.0/0', '--route', '::/0']

export interface Routed {
  client: Namespace
  router: Namespace
  server: Namespace
  /** Every route of the client, of both families and all tables. */
  routes: () => Promise<string>
  /** What is kept outside. */
  kept: () => Promise<string[]>
  /** What is routed into the tunnel. */
  into: () => Promise<string[]>
  serve: () => Promise<Child>
  dial: (more: string[], connect?: string) => Child
  /** A client from a file, up with a server, and how to write into the file what it routes. */
  fromFile: () => Promise<{ tunnel: Child; write: (...routes: string[]) => void }>
  reload: (code: number) => Promise<Child>
  flows: (...families: (keyof typeof INSIDE)[]) => Promise<void>
  /** The client's routes are those without any tunnel again. */
  nothingIsLeft: () => Promise<void>
}

/**
 *     ┌─ client ──────────────┐    ┌─ router ───────────┐    ┌─ server ───────────────────┐
 *     │ zt0  10.10.0.2        │ ═══│═══════ tunnel ═════│═══ │ zt0  10.10.0.1             │
 *     │                       │    │      forwards      │    │ lo   198.51.100.1 (inside) │
 *     │ eth0 192.0.2.1/28     ├────┤ .2, .3         .17 ├────┤ eth0 192.0.2.18/28         │
 *     │      default via .2   │    │                    │    │      default via .17       │
 *     └───────────────────────┘    └────────────────────┘    └────────────────────────────┘
 *
 * 198.51.100.1 and 2001:db8:99::1 can be reached through the tunnel only: the router knows no way there.
 */
export async function routed(lab: Lab): Promise<Routed> {
  const [client, router, server] = [
    await lab.namespace('client'),
    await lab.namespace('router'),
    await lab.namespace('server'),
  ]
  await join(
    { namespace: client, device: 'eth0', addresses: ['192.0.2.1/28', '2001:db8:1::1/64'] },
    { namespace: router, device: 'eth0', addresses: ['192.0.2.2/28', '192.0.2.3/28', '2001:db8:1::2/64'] },
  )
  await join(
    { namespace: router, device: 'eth1', addresses: ['192.0.2.17/28', '2001:db8:2::17/64'] },
    { namespace: server, device: 'eth0', addresses: [`${SERVER}/28`, `${SERVER6}/64`] },
  )
  await router.run('sh', '-c', 'echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding')
  await client.ip('route', 'add', 'default', 'via', '192.0.2.2')
  await client.ip('-6', 'route', 'add', 'default', 'via', '2001:db8:1::2')
  await server.ip('route', 'add', 'default', 'via', '192.0.2.17')
  await server.ip('-6', 'route', 'add', 'default', 'via', '2001:db8:2::17')
  await server.address('lo', `${INSIDE.ipv4}/32`, `${INSIDE.ipv6}/128`)
  // The kernel tries link-local addresses for a second or two before it routes them.
  await until('the link-local addresses', 10_000, async () => {
    const shown = await client.ip('-6', 'address', 'show', 'dev', 'eth0', 'scope', 'link')
    return shown.includes('fe80::') && !shown.includes('tentative')
  })

  /** Every route of the client, of both families and all tables. */
  async function routes(): Promise<string> {
    const [ipv4, ipv6] = [
      await client.ip('route', 'show', 'table', 'all'),
      await client.ip('-6', 'route', 'show', 'table', 'all'),
    ]
    // What the kernel makes of a device by itself comes a moment after it.
    return `${ipv4}${ipv6}`
      .split('\n')
      .filter((line) => !/ zt\d /.test(line))
      .sort()
      .join('\n')
  }

  /** What is kept outside. */
  async function kept(): Promise<string[]> {
    const each = [
      await client.ip('route', 'show', 'proto', '90'),
      await client.ip('-6', 'route', 'show', 'proto', '90'),
    ]
    return each
      .join('')
      .split('\n')
      .filter((line) => line !== '' && !line.includes('dev zt'))
      .map((line) => line.replace(/ +metric.*$/, '').trim())
  }

  /** What is routed into the tunnel. */
  async function into(): Promise<string[]> {
    const each = [await client.ip('route', 'show', 'dev', 'zt0'), await client.ip('-6', 'route', 'show', 'dev', 'zt0')]
    const lines = each.join('').matchAll(/^(\S+) (?=.*proto 90)/gm)
    return [...lines].map(([, route = '']) => route)
  }

  const serve = (): Promise<Child> => up(server, { addresses: innerOf('server'), bind: `[::]:${PORT}` })
  const dial = (more: string[], connect = `${SERVER}:${PORT}`): Child =>
    zportal(client, ['up', ...flags({ addresses: innerOf('client'), connect, more })])

  /** A client from a file, up with a server, and how to write into the file what it routes. */
  async function fromFile(): Promise<{ tunnel: Child; write: (...routes: string[]) => void }> {
    const file = await lab.path('client.toml')
    const write = (...routes: string[]): void => {
      const lines = [`name = "zt0"`, `connect = "${SERVER}:${PORT}"`, `address = ${JSON.stringify(innerOf('client'))}`]
      writeFileSync(file, [...lines, `route = ${JSON.stringify(routes)}`, ''].join('\n'))
    }
    write()
    await serve()
    const tunnel = zportal(client, ['up', '-f', file])
    await tunnel.line(event('up'))
    return { tunnel, write }
  }
  const reload = async (code: number): Promise<Child> => zportal(client, ['reload', 'zt0']).exitsWith(code)

  async function flows(...families: (keyof typeof INSIDE)[]): Promise<void> {
    for (const family of families) expect((await ping(client, INSIDE[family])).received).toBe(10)
  }

  async function nothingIsLeft(): Promise<void> {
    await until('the routes as before', 5000, async () => (await routes()) === before)
  }

  /** The client's routes without any tunnel. */
  const before = await routes()
  return { client, router, server, routes, kept, into, serve, dial, fromFile, reload, flows, nothingIsLeft }
}

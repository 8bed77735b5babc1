/** Who is measured: how each is started on the two hosts, and when it is up. */
import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

import { program } from '../ensure.mjs'
import { ROOT } from '../run.mjs'
import { addressCable, CLIENT, hasDevice, HOSTS, MTU_BYTES, SERVER, setMtu } from './lab.mjs'
import { ping } from './measures.mjs'
import { PROXY_PROGRAMS, startProxies } from './proxies.mjs'
import { lastWords, listens, start, throwIfStopped, until } from './programs.mjs'

const PORT = 7000
export const DEVICE = 'zt0'
/** How long a contender may take to listen, and then to answer the first ping, in milliseconds. */
const UP_MS = 10_000

const OPENVPN = [
  ...['openvpn', '--dev', DEVICE, '--dev-type', 'tun', '--port', String(PORT), '--tun-mtu', String(MTU_BYTES)],
  ...['--cipher', 'none', '--auth', 'none', '--verb', '1'],
]

/** Does what no tunnel can do without, and nothing else: the ceiling. Built by `npm run bench`. */
const PUMP = join(ROOT, 'target', 'release', 'examples', 'pump')

/** In the order in which they are measured and shown. One without a command is the cable itself. */
export const CONTENDERS = [
  { id: 'veth', name: 'raw veth' },
  {
    id: 'openvpn',
    // Without cipher and digest: it then does what the others do.
    name: 'OpenVPN TCP',
    server: [...OPENVPN, '--proto', 'tcp-server', '--ifconfig', SERVER.inner, CLIENT.inner],
    client: [...OPENVPN, '--proto', 'tcp-client', '--remote', SERVER.outer, '--ifconfig', CLIENT.inner, SERVER.inner],
  },
  {
    id: 'socat',
    name: 'socat',
    server: ['socat', `TCP-LISTEN:${PORT},reuseaddr`, `TUN:${SERVER.inner}/24,tun-name=${DEVICE},iff-up`],
    client: ['socat', `TCP:${SERVER.outer}:${PORT}`, `TUN:${CLIENT.inner}/24,tun-name=${DEVICE},iff-up`],
    // It has no option for the MTU, and makes its device only once the two are connected.
    async settle(programs) {
      for (const host of HOSTS) {
        await until(`it has its device ${DEVICE}`, UP_MS, () => hasDevice(host, DEVICE), programs)
        setMtu(host, DEVICE, MTU_BYTES)
      }
    },
  },
  {
    id: 'pump',
    name: 'bare pump',
    server: [PUMP, 'listen', `${SERVER.outer}:${PORT}`, DEVICE, `${SERVER.inner}/24`, String(MTU_BYTES)],
    client: [PUMP, 'connect', `${SERVER.outer}:${PORT}`, DEVICE, `${CLIENT.inner}/24`, String(MTU_BYTES)],
  },
  { id: 'zportal', name: 'ZPortal', ours: true, ...zportal() },
  { id: 'zportal-no-offload', name: 'ZPortal', flag: '--no-offload', ours: true, ...zportal('--no-offload') },
]

/** Ours with another congestion control, and behind real proxies that stand before the slow link. */
export const OUR_VARIANTS = [
  {
    id: 'zportal-cubic',
    name: 'ZPortal',
    flag: '--congestion cubic',
    ours: true,
    ...zportal('--congestion', 'cubic'),
  },
  behind('microsocks', 'microsocks'),
  behind('dante', 'dante'),
  behind('microsocks-2', 'microsocks', 'microsocks'),
  behind('microsocks-3', 'microsocks', 'microsocks', 'microsocks'),
]

/** Name and flag in one, for a line of text. */
export function fullName({ name, flag }) {
  return flag ? `${name} ${flag}` : name
}

/** Why a contender cannot take part here; undefined when it can. */
export function whyLeftOut({ server, proxies = [] }) {
  const commands = [...(server ? [server[0]] : []), ...proxies.map((kind) => PROXY_PROGRAMS[kind])]
  const isThere = (command) => (isAbsolute(command) ? existsSync(command) : program(command) !== undefined)
  const missing = commands.find((command) => !isThere(command))
  return missing && `${missing} is not installed`
}

/**
 * Brings a contender up on hosts that stand, and gives its programs once a ping has come back: server, client, proxies.
 * What is thrown otherwise carries the last words of both ends.
 */
export async function bringUp({ server, client, settle, proxies = [] }) {
  const programs = []
  try {
    if (server) {
      const chain = await startProxies(proxies)
      programs.push(start(SERVER, server))
      await until(`it listens on port ${PORT}`, UP_MS, () => listens(programs[0], PORT), programs)
      programs.push(start(CLIENT, [...client, ...chain.flatMap(({ address }) => ['-p', address])]))
      programs.push(...chain.map(({ proxy }) => proxy))
      await settle?.(programs)
    } else {
      addressCable()
    }
    // Before the device has its address there is not even a way to send.
    const answers = () => ping({ count: 1, patienceSeconds: 1 }).then(({ received }) => received === 1, unreachable)
    await until('a ping comes back', UP_MS, answers, programs)
    return programs
  } catch (error) {
    const who = ['server', 'client']
    error.lastWords = programs.map((program, end) => `${who[end] ?? 'proxy'}: ${lastWords(program)}`).join('\n')
    throw error
  }
}

function unreachable() {
  throwIfStopped()
  return false
}

function behind(id, ...proxies) {
  const kind = proxies.length > 1 ? `${proxies.length} × ${proxies[0]}` : proxies[0]
  return { id: `zportal-${id}`, name: 'ZPortal', flag: `behind ${kind}`, ours: true, proxies, ...zportal() }
}

function zportal(...flags) {
  const up = [process.execPath, join(ROOT, 'bin', 'run.js'), 'up', '-n', DEVICE, '-m', String(MTU_BYTES), ...flags]
  return {
    server: [...up, '-a', `${SERVER.inner}/24`, '-b', `${SERVER.outer}:${PORT}`],
    client: [...up, '-a', `${CLIENT.inner}/24`, '-c', `${SERVER.outer}:${PORT}`],
  }
}

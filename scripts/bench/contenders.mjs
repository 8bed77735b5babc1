/** Who is measured: how each is started on the two hosts, and when it is up. */
import { join } from 'node:path'

import { program } from '../ensure.mjs'
import { ROOT } from '../run.mjs'
import { addressCable, CLIENT, hasDevice, HOSTS, MTU_BYTES, SERVER, setMtu } from './lab.mjs'
import { ping } from './measures.mjs'
import { lastWords, listens, start, throwIfStopped, until } from './programs.mjs'

const PORT = 7000
const DEVICE = 'zt0'
/** How long a contender may take to listen, and then to answer the first ping, in milliseconds. */
const UP_MS = 10_000

const OPENVPN = [
  ...['openvpn', '--dev', DEVICE, '--dev-type', 'tun', '--port', String(PORT), '--tun-mtu', String(MTU_BYTES)],
  ...['--cipher', 'none', '--auth', 'none', '--verb', '1'],
]

/** In the order in which they are measured and shown. One without commands is the cable itself. */
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
  { id: 'zportal', name: 'ZPortal', ours: true, ...zportal() },
  { id: 'zportal-no-offload', name: 'ZPortal', flag: '--no-offload', ours: true, ...zportal('--no-offload') },
]

/** Name and flag in one, for a line of text. */
export function fullName({ name, flag }) {
  return flag ? `${name} ${flag}` : name
}

/** Why a contender cannot take part here; undefined when it can. */
export function whyLeftOut({ server }) {
  if (!server || server[0] === process.execPath || program(server[0])) return undefined
  return `${server[0]} is not installed`
}

/**
 * Brings a contender up on hosts that stand, and gives its programs once a ping has come back.
 * What is thrown otherwise carries the last words of both ends.
 */
export async function bringUp({ server, client, settle }) {
  const programs = []
  try {
    if (server) {
      programs.push(start(SERVER, server))
      await until(`it listens on port ${PORT}`, UP_MS, () => listens(programs[0], PORT), programs)
      programs.push(start(CLIENT, client))
      await settle?.(programs)
    } else {
      addressCable()
    }
    // Before the device has its address there is not even a way to send.
    const answers = () => ping({ count: 1, patienceSeconds: 1 }).then(({ received }) => received === 1, unreachable)
    await until('a ping comes back', UP_MS, answers, programs)
    return programs
  } catch (error) {
    error.lastWords = programs.map((program, end) => `${end ? 'client' : 'server'}: ${lastWords(program)}`).join('\n')
    throw error
  }
}

function unreachable() {
  throwIfStopped()
  return false
}

function zportal(...flags) {
  const up = [process.execPath, join(ROOT, 'bin', 'run.js'), 'up', '-n', DEVICE, '-m', String(MTU_BYTES), ...flags]
  return {
    server: [...up, '-a', `${SERVER.inner}/24`, '-b', `${SERVER.outer}:${PORT}`],
    client: [...up, '-a', `${CLIENT.inner}/24`, '-c', `${SERVER.outer}:${PORT}`],
  }
}

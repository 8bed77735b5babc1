/**
 * The two hosts: network namespaces joined by a veth pair, made anew for every contender, so that none
 * inherits anything from the one before.
 *
 *     server 192.0.2.1 ── eth0 ═══ veth ═══ eth0 ── 192.0.2.2 client        inner: 10.77.0.1, 10.77.0.2
 *
 * With proxies, these stand on cables of their own between the client and the slow link, and forward no packets:
 *
 *     server 192.0.2.1 ═══ slow ═══ 192.0.2.2 proxy 1 198.51.100.17 ── fast ── 198.51.100.18 client
 *     server 192.0.2.1 ═══ slow ═══ 192.0.2.2 proxy 2 198.51.100.33 ── fast ── … proxy 1 … ── fast ── client
 */
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { bury, remains } from '../../__test__/harness/inside/remains.mjs'
import { endAll, OWNER, throwIfStopped } from './programs.mjs'

export const SERVER = { namespace: `${OWNER}-server`, outer: '192.0.2.1', inner: '10.77.0.1' }
export const CLIENT = { namespace: `${OWNER}-client`, outer: '192.0.2.2', inner: '10.77.0.2' }
export const HOSTS = [SERVER, CLIENT]
/** The largest packet inside a tunnel; the veth itself carries 1500 bytes. */
export const MTU_BYTES = 1400

/** How much the queue in front of a slow link may hold, as time, in milliseconds: a home router's. */
export const BUFFER_MS = 200
/** What tbf lets through at once, in KiB. */
const BURST_KIB = 32
/** Which congestion controls a namespace may have as its default; the same for the whole machine. */
const ALLOWED = '/proc/sys/net/ipv4/tcp_allowed_congestion_control'

/**
 * Makes the two hosts, and so many between them for proxies; with a rate, the cable to the server is a slow link with
 * a deep queue at both ends.
 */
export function raise({ rateMbit, congestion, proxies = 0 } = {}) {
  const between = Array.from({ length: proxies }, (_, index) => proxyHost(index + 1))
  const line = [CLIENT, ...between]
  for (const { namespace } of [SERVER, ...line]) {
    ip('netns', 'add', namespace)
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
    if (congestion) defaultCongestion({ namespace }, congestion)
  }
  for (const [index, host] of between.entries()) {
    cable(
      { ...line[index], device: 'eth1', prefixed: `${host.nearer}/28` },
      { ...host, device: 'eth2', prefixed: `${host.outer}/28` },
    )
  }
  const slow = [SERVER, line.at(-1)].map(({ namespace }, end) => ({
    namespace,
    device: 'eth0',
    prefixed: `${HOSTS[end].outer}/24`,
  }))
  cable(...slow)
  if (rateMbit) {
    const shape = ['tbf', 'rate', `${rateMbit}mbit`, 'burst', `${BURST_KIB}k`, 'latency', `${BUFFER_MS}ms`]
    for (const { namespace, device } of slow) {
      inside(namespace, 'tc', 'qdisc', 'add', 'dev', device, 'root', ...shape)
    }
  }
}

/** The host of the first, second … proxy; `outer` is where it is reached, `nearer` the other end of that cable. */
export function proxyHost(number) {
  const address = (host) => `198.51.100.${16 * number + host}`
  return { namespace: `${OWNER}-proxy${number}`, outer: address(1), nearer: address(2) }
}

function cable(...ends) {
  const [first, second] = ends.map(({ namespace, device }) => ['name', device, 'netns', namespace])
  ip('link', 'add', ...first, 'type', 'veth', 'peer', ...second)
  for (const { namespace, device, prefixed } of ends) {
    ip('-n', namespace, 'address', 'add', prefixed, 'dev', device)
    ip('-n', namespace, 'link', 'set', device, 'up')
  }
}

/** Puts the inner addresses on the cable itself: what a contender without a tunnel is measured on. */
export function addressCable() {
  for (const { namespace, inner } of HOSTS) ip('-n', namespace, 'address', 'add', `${inner}/24`, 'dev', 'eth0')
}

/** Whether a host has a network device of that name. */
export function hasDevice({ namespace }, device) {
  return execFileSync('ip', ['-n', namespace, '-o', 'link'], { encoding: 'utf8' }).includes(`: ${device}: `)
}

export function setMtu({ namespace }, device, mtuBytes) {
  ip('-n', namespace, 'link', 'set', device, 'mtu', String(mtuBytes))
}

/** Ends the programs and removes the hosts; gives a sentence for everything that could not be removed. */
export async function lower() {
  await endAll()
  return bury(OWNER) ? [] : remains(OWNER).map(({ what }) => what)
}

/** If this process is killed, somebody must still remove what it made. Gives what ends that waiting. */
export function startUndertaker() {
  const script = fileURLToPath(new URL('../../__test__/harness/inside/undertaker.mjs', import.meta.url))
  const undertaker = spawn(process.execPath, [script, OWNER], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  undertaker.unref()
  undertaker.stdin.unref()
  return () => undertaker.stdin.end()
}

/**
 * Makes a congestion control the default of a host. The kernel accepts only what the whole machine allows
 * to everyone; that list is widened for the moment this takes, and then stands as it stood.
 */
function defaultCongestion({ namespace }, congestion) {
  const allowed = readFileSync(ALLOWED, 'utf8').trim()
  const widen = !allowed.split(' ').includes(congestion)
  if (widen) writeFileSync(ALLOWED, `${allowed} ${congestion}`)
  try {
    inside(namespace, 'sh', '-c', `echo ${congestion} > /proc/sys/net/ipv4/tcp_congestion_control`)
  } finally {
    if (widen) writeFileSync(ALLOWED, allowed)
  }
}

function inside(namespace, ...command) {
  ip('netns', 'exec', namespace, ...command)
}

function ip(...args) {
  throwIfStopped()
  try {
    execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
  } catch (error) {
    throw new Error(`ip ${args.join(' ')}: ${error.stderr?.trim() || error.message}`, { cause: error })
  }
}

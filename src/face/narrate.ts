/** A tunnel's events as messages with fields, the same for a log and for a terminal. */

import { DEFAULT_TOR } from '../chain.js'
import type { TunnelOptions } from '../tunnel-options.js'
import { DEFAULT_MTU_BYTES } from '../tunnel-options.js'
import { showProxy } from '../proxy.js'
import type { StateChange } from '../tunnel-events.js'
import type { Tunnel } from '../tunnel.js'
import type { Fields, Level } from './log-line.js'
import { Retell } from './retell.js'
import { totalDrops } from './status-line.js'

/** Where messages go. */
export type Say = (level: Level, message: string, fields: Fields) => void

/** Tells what the tunnel does from now on, beginning with the state it is in. */
export function narrate(tunnel: Tunnel, options: TunnelOptions, say: Say): void {
  const { name } = tunnel
  say('info', tunnel.state, {
    name,
    local: tunnel.local,
    to: options.connect,
    via: list(via(options)),
    mtu: options.mtu ?? DEFAULT_MTU_BYTES,
    addresses: list(options.addresses),
  })
  const losses = new Retell()
  tunnel.on('state', (change) => {
    tell(tunnel, change, losses, say)
  })
  tunnel.on('notice', ({ level, code, message }) => {
    say(level, 'notice', { name, code, detail: message })
  })
}

function tell(tunnel: Tunnel, change: StateChange, losses: Retell, say: Say): void {
  const { name } = tunnel
  const { state, peer, reason } = change
  switch (state) {
    case 'up':
      losses.forget()
      say('info', 'up', {
        name,
        peer: peer.address,
        speech: peer.speech,
        dial_ms: tunnel.role === 'client' ? peer.dialMs : undefined,
        hops_ms: peer.hops.length > 1 ? list(peer.hops.map(({ ms }) => String(ms))) : undefined,
      })
      break
    case 'waiting': {
      const { retryMs } = change
      const { isWorthALine, attempts } = losses.hear(reason.code, performance.now())
      if (!isWorthALine) break
      say(reason.code === 'ZP_PEER_CLOSED' ? 'info' : 'warn', 'waiting', {
        name,
        reason: reason.code,
        detail: reason.message,
        retry_ms: retryMs,
        attempts: attempts > 1 ? attempts : undefined,
      })
      break
    }
    case 'closed': {
      const stats = tunnel.stats()
      const wasAsked = reason.code === 'ZP_CLOSED' || reason.code === 'ZP_ABORTED'
      say(wasAsked ? 'info' : 'error', 'closed', {
        name,
        reason: reason.code,
        // Our own stop signal gives the name of the system's as its cause.
        by: typeof reason.cause === 'string' && wasAsked ? reason.cause : undefined,
        tx_packets: stats.txPackets,
        tx_bytes: stats.txBytes,
        rx_packets: stats.rxPackets,
        rx_bytes: stats.rxBytes,
        drops: totalDrops(stats),
      })
      break
    }
    case 'listening':
    case 'connecting':
      say('info', state, { name })
  }
}

/** The chain as it may be shown. */
function via({ proxies = [], tor = false }: TunnelOptions): string[] {
  const shown = proxies.map(showProxy)
  if (tor === false) return shown
  const address = tor === true ? DEFAULT_TOR : tor
  return [...shown, /^unixa?:/.test(address) ? `tor+${address}` : `tor://${address}`]
}

function list(items: readonly string[] | undefined): string | undefined {
  return items === undefined || items.length === 0 ? undefined : items.join(',')
}

/** How a tunnel comes to be: options judged, native part loaded, device made, and its control socket if it wants one. */

import type { InnerAddress } from './address.js'
import { Backstage } from './backstage.js'
import type { Host } from './control/serve.js'
import { interfaceAddresses } from './doctor/facts.js'
import { judgeAddresses } from './doctor/network.js'
import type { NativeAddon } from './native.js'
import { loadNative, settle, toNativeOptions } from './native.js'
import { parseOptions } from './options.js'
import { abortedError, Tunnel } from './tunnel.js'
import type { TunnelOptions } from './tunnel-options.js'

/**
 * Opens a tunnel: creates the device with its addresses and, for a server, listens.
 *
 * Resolves once that is done, in the state `listening` or `connecting`; the peer comes later, see {@link Tunnel.whenUp}.
 * A client dials until it is up, and again whenever it has lost its peer, unless `once` is set.
 * When it rejects, nothing is left behind. No event is emitted before the caller has had a turn to add listeners.
 *
 * @throws {@link ZPortalError}
 * `ZP_OPTION` when options are refused, `ZP_ABORTED` when the signal aborts first, `ZP_NATIVE` when the native part cannot
 * be loaded, `ZP_TUN_*` and `ZP_IO_URING` when the kernel refuses, `ZP_BIND*` and `ZP_RESOLVE` when it cannot listen.
 *
 * @example
 * ```ts
 * await using tunnel = await openTunnel({ name: 'zt0', addresses: ['10.10.0.2/24'], connect: '192.0.2.1:7000' })
 * const peer = await tunnel.whenUp()
 * console.log(`${tunnel.name} is up with ${peer.address}`)
 * ```
 */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  return openTunnelWith(loadNative, options)
}

/** @internal The same with the addon given, so that tests can put another in its place. */
export async function openTunnelWith(addon: () => NativeAddon, options: unknown, host: Host = {}): Promise<Tunnel> {
  const parsed = parseOptions(options)
  const { signal } = parsed
  const isAborted = () => signal?.aborted === true
  if (isAborted()) throw abortedError(signal)

  const backstage = new Backstage()
  const loaded = addon()
  const native = await settle(() =>
    loaded.NativeTunnel.open(toNativeOptions(parsed), backstage.notices.take, backstage.hear),
  )
  // The addon cannot be called back from an opening, so an abort meanwhile is obeyed here.
  if (isAborted()) {
    await native.close()
    throw abortedError(signal)
  }
  const tunnel = new Tunnel(native, parsed, backstage)
  for (const message of clashes(parsed.addresses, tunnel.name)) {
    backstage.notices.take({ level: 'warn', code: 'inner-addresses', message })
  }
  if (parsed.control !== false || parsed.metrics !== undefined) {
    try {
      // Loaded by those only who want it: HTTP is the larger part of it.
      const { serveControl } = await import('./control/serve.js')
      const control = await serveControl(tunnel, parsed, host, loaded)
      backstage.closing.push(control.close)
      if (control.notice !== undefined) backstage.notices.take(control.notice)
    } catch (error) {
      await tunnel.close()
      throw error
    }
    if (isAborted()) {
      await tunnel.close()
      await backstage.close()
      throw abortedError(signal)
    }
  }
  backstage.begin()
  return tunnel
}

/** What is wrong with the tunnel's addresses beside those that the machine has, which the kernel lets pass. */
function clashes(addresses: readonly InnerAddress[], name: string): string[] {
  // The kernel has taken them, so IPv6 works.
  return judgeAddresses(addresses, interfaceAddresses(), { name, ipv6: true }).flatMap(({ status, message, cure }) =>
    status === 'pass' ? [] : [`${message}; ${cure ?? ''}`],
  )
}

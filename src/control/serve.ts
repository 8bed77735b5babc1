/** Gives a tunnel its control socket: what may be asked of it, what it answers, and the end of both together. */

import type { Server } from 'node:http'
import { formatInnerAddress, formatStreamAddress } from '../address.js'
import { ZPortalError } from '../errors.js'
import type { NativeAddon } from '../native.js'
import type { ParsedOptions } from '../options.js'
import { formatProxy } from '../proxy.js'
import type { Tunnel } from '../tunnel.js'
import type { TunnelNotice } from '../tunnel-events.js'
import { metricsText } from './metrics.js'
import { networkNamespace, rootsToServe } from './place.js'
import { record } from './recorder.js'
import type { Seat } from './seat.js'
import { seatAt, seatIn } from './seat.js'
import type { Answers, ControlServer } from './server.js'
import { controlServer, metricsServer } from './server.js'
import type { Facts, TunnelStatus } from './status.js'
import { reasonOf, STATUS_VERSION, statusOf } from './status.js'

/** What became of a reload: settings by name. */
export interface Reloaded {
  /** They differ from before and hold from now on. */
  readonly applied: readonly string[]
  /** They differ from before and hold from the next dial or session on. */
  readonly next: readonly string[]
  /** They differ from before and need a restart. */
  readonly restart: readonly string[]
}

/** What whoever runs the tunnel adds to it. */
export interface Host {
  /** The config file it was started from. */
  readonly config?: string | undefined
  /** Reads the config again. */
  readonly reload?: ((tunnel: Tunnel) => Promise<Reloaded>) | undefined
}

/** A control socket, or what stands in its place. */
export interface Control {
  /** What the owner should hear of: that there is no socket, and why. */
  readonly notice: TunnelNotice | undefined
  readonly close: () => Promise<void>
}

/**
 * Serves what the options ask for.
 *
 * @throws {@link ZPortalError} `ZP_CONTROL` when a path or a port that was asked for cannot be had. A socket in the usual
 * place that cannot be had is a notice.
 */
export async function serveControl(
  tunnel: Tunnel,
  options: ParsedOptions,
  host: Host,
  addon: NativeAddon,
): Promise<Control> {
  const recorder = record(tunnel)
  const facts = factsOf(options, host)
  const status = (): TunnelStatus => statusOf(tunnel, { ...facts, ...wayOf(tunnel.options) }, recorder.recorded())
  const answers: Answers = {
    status,
    samples: () => ({ version: STATUS_VERSION, ...recorder.samples() }),
    metrics: () => metricsText(status()),
    down: async () => {
      const closed = new Promise<TunnelStatus>((resolve) => {
        tunnel.on('state', ({ state }) => {
          if (state === 'closed') resolve(status())
        })
      })
      // Whoever asks is answered once the device is gone, which is before this socket is.
      void tunnel.close()
      return closed
    },
    reload: async () => {
      if (host.reload === undefined) {
        throw new ZPortalError(
          'ZP_CONTROL',
          `${tunnel.name} was started without a config file: there is nothing to read again`,
        )
      }
      return { version: STATUS_VERSION, ...(await host.reload(tunnel)) }
    },
    bench: async () => ({ version: STATUS_VERSION, ...(await tunnel.askBench()) }),
    follow: (tell) => follow(tunnel, status, tell),
  }

  const { control, metrics } = options
  const closing: (() => Promise<void> | void)[] = [
    () => {
      recorder.stop()
    },
  ]
  let notice: TunnelNotice | undefined
  try {
    if (metrics !== undefined) {
      const serving = metricsServer(answers)
      await listenTcp(serving.server, metrics)
      closing.push(serving.close)
    }
    if (control !== false) {
      const seat = seatOf(tunnel.name, control, facts.netns, addon)
      if (typeof seat === 'string') {
        notice = { level: 'warn', code: 'no-control', message: seat }
      } else {
        closing.push(() => {
          seat.release()
        })
        const serving = controlServer(answers)
        await listen(seat, serving)
        // Asked for first: whoever was answered finds nothing left of the socket.
        closing.push(serving.close)
      }
    }
  } catch (error) {
    await closeAll(closing)
    throw error
  }
  return { notice, close: () => closeAll(closing) }
}

function factsOf(options: ParsedOptions, { config }: Host): Omit<Facts, keyof Way> {
  return {
    openedAt: new Date(),
    netns: networkNamespace(),
    config,
    mtu: options.mtuBytes,
    addresses: options.addresses.map(formatInnerAddress),
  }
}

type Way = Pick<Facts, 'connect' | 'proxies'>

/** Where a client dials; a reload may change it. */
function wayOf(options: ParsedOptions): Way {
  return options.role === 'server'
    ? { connect: undefined, proxies: [] }
    : { connect: formatStreamAddress(options.connect), proxies: options.proxies.map(formatProxy) }
}

/** The seat, or why there is none. Only a path that was asked for is worth a failure: the tunnel works without a socket. */
function seatOf(name: string, control: true | string, netns: number, { FileLock }: NativeAddon): Seat | string {
  if (typeof control === 'string') return seatAt(control, FileLock)
  try {
    const roots = rootsToServe(process.env)
    return seatIn(roots, netns, name, FileLock) ?? `no control socket: none of ${roots.join(', ')} can be written`
  } catch (error) {
    if (error instanceof ZPortalError) return error.message
    throw error
  }
}

async function listen(seat: Seat, { server }: ControlServer): Promise<void> {
  try {
    await seat.listen(server)
  } catch (cause) {
    throw new ZPortalError(
      'ZP_CONTROL',
      `the control socket ${seat.path} cannot be made: ${(cause as Error).message}`,
      { cause },
    )
  }
}

async function listenTcp(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (cause) {
    throw new ZPortalError('ZP_CONTROL', `metrics cannot be served there: ${(cause as Error).message}`, { cause })
  }
}

function follow(tunnel: Tunnel, status: () => TunnelStatus, tell: (event: object) => void): () => void {
  const say = (event: string, fields: object) => {
    tell({ version: STATUS_VERSION, at: new Date().toISOString(), event, name: tunnel.name, ...fields })
  }
  const onState = ({ reason, ...change }: { reason?: ZPortalError | undefined }): void => {
    say('state', reason === undefined ? change : { ...change, reason: reasonOf(reason) })
  }
  const onNotice = (notice: TunnelNotice): void => {
    say('notice', notice)
  }
  tunnel.on('state', onState)
  tunnel.on('notice', onNotice)
  say('status', { status: status() })
  return () => {
    tunnel.off('state', onState)
    tunnel.off('notice', onNotice)
  }
}

/** In the reverse order of opening, each once. */
async function closeAll(closing: (() => Promise<void> | void)[]): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close()
}

/**
 * ZPortal carries IP packets over one byte stream: TCP, a Unix socket, or either through a chain of SOCKS5 proxies.
 *
 * {@link openTunnel} is the whole of it. Sizes are in bytes and times in milliseconds throughout. Whatever fails is a
 * {@link ZPortalError} with a stable code.
 *
 * @packageDocumentation
 */

export { ERROR_CODES, ZPortalError } from './errors.js'
export type { ErrorCode, OptionProblem } from './errors.js'
export type { ClientOptions, CommonOptions, ServerOptions, TunnelOptions } from './options.js'
export { openTunnel } from './tunnel.js'
export type {
  Peer,
  StateChange,
  Tunnel,
  TunnelEnd,
  TunnelEvents,
  TunnelNotice,
  TunnelState,
  TunnelStats,
} from './tunnel.js'

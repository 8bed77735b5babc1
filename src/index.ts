/**
 * ZPortal carries IP packets over one byte stream: TCP, a Unix socket, or either through a chain of SOCKS5 and HTTP
 * proxies and Tor.
 *
 * {@link openTunnel} is the whole of it; {@link diagnose} finds out beforehand whether it would work, and
 * {@link findTunnel} asks tunnels that run already, such as those of `zportal up`. Sizes are in bytes
 * and times in milliseconds throughout. Whatever fails is a {@link ZPortalError} with a stable code.
 *
 * @packageDocumentation
 */

export { diagnose } from './doctor/diagnose.js'
export type { Diagnosis } from './doctor/diagnose.js'
export { FINDING_IDS } from './doctor/finding.js'
export type { Finding, FindingId, FindingStatus } from './doctor/finding.js'
export { ERROR_CODES, ZPortalError } from './errors.js'
export type { ErrorCode, ErrorDetails, OptionProblem } from './errors.js'
export type { ClientOptions, CommonOptions, Hooks, ServerOptions, TunnelOptions } from './tunnel-options.js'
export { findTunnel, listTunnels, RunningTunnel, waitForTunnel } from './running.js'
export type { Change, Reason, Reloaded, RunningEvent, TunnelStatus, TunnelTarget } from './running.js'
export type { Rates } from './face/rates.js'
export { openTunnel } from './open.js'
export type {
  Hop,
  Peer,
  StateChange,
  TunnelEnd,
  TunnelEvents,
  TunnelNotice,
  TunnelState,
  TunnelStats,
} from './tunnel-events.js'
export type { Tunnel } from './tunnel.js'

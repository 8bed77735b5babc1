/**
 * The ways in which ZPortal fails, each with one stable code.
 *
 * A code never changes its meaning. `docs/ERRORS.md` tells the cause and the cure of each; a test holds that table, this
 * list and the core's own list equal.
 */

/** Codes that come from the core, in its order. */
export const CORE_ERROR_CODES = [
  'ZP_OPTION',
  'ZP_TUN_MISSING',
  'ZP_TUN_PERMISSION',
  'ZP_TUN_NAME_TAKEN',
  'ZP_TUN_CONFIGURE',
  'ZP_ROUTE_EXISTS',
  'ZP_ROUTE',
  'ZP_TUN_GONE',
  'ZP_TUN_IO',
  'ZP_IO_URING',
  'ZP_BIND_IN_USE',
  'ZP_BIND',
  'ZP_RESOLVE',
  'ZP_DIAL_REFUSED',
  'ZP_DIAL',
  'ZP_DIAL_TIMEOUT',
  'ZP_SO_MARK',
  'ZP_PROXY_AUTH',
  'ZP_PROXY_REFUSED',
  'ZP_PROXY_PROTOCOL',
  'ZP_PROXY_CLOSED',
  'ZP_FRAME_MAGIC',
  'ZP_FRAME_FLAGS',
  'ZP_FRAME_SIZE',
  'ZP_FRAME_CRC',
  'ZP_FRAME_CUT',
  'ZP_MESSAGE',
  'ZP_PEER_CLOSED',
  'ZP_PEER_BUSY',
  'ZP_PEER_REPLACED',
  'ZP_PEER_SILENT',
  'ZP_LINK_LOST',
  'ZP_CLOSED',
  'ZP_INTERNAL',
] as const

/** Codes that only the TypeScript side can give. */
export const SHELL_ERROR_CODES = [
  'ZP_NATIVE',
  'ZP_ABORTED',
  'ZP_CONFIG',
  'ZP_CONTROL',
  'ZP_NOT_RUNNING',
  'ZP_NOT_UP',
  'ZP_BENCH',
  'ZP_SERVICE',
  'ZP_HOOK',
] as const

/** Every code. */
export const ERROR_CODES = [...CORE_ERROR_CODES, ...SHELL_ERROR_CODES] as const

/** What {@link ZPortalError.code} can be. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** One option that was refused, and why. */
export interface OptionProblem {
  /** Which option, as it is written in code: `mtu`, `addresses[1]`. Empty when it concerns the options as a whole. */
  readonly option: string
  /** What is accepted and what was got: a sentence that starts after the option's name, other options in backticks. */
  readonly message: string
}

/** What accompanies a {@link ZPortalError} beside its code and message. */
export interface ErrorDetails {
  readonly errno?: number | undefined
  readonly hop?: number | undefined
  readonly cause?: unknown
  readonly problems?: readonly OptionProblem[] | undefined
}

/**
 * The one kind of error that ZPortal throws, rejects with or gives as a reason.
 *
 * `message` is a whole sentence: what happened, with the value got, and what to do. Programs look at `code`.
 */
export class ZPortalError extends Error {
  override readonly name = 'ZPortalError'
  /** Stable, see `docs/ERRORS.md`. */
  readonly code: ErrorCode
  /** The operating system's error number (positive, as in errno(3)), if one is behind it. */
  readonly errno: number | undefined
  /** Which hop of the way to the peer failed: 0 is the first proxy, or the peer itself when there are no proxies. */
  readonly hop: number | undefined
  /** With `ZP_OPTION`: every option that was refused, not only the first. Otherwise empty. */
  readonly problems: readonly OptionProblem[]

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.errno = details.errno
    this.hop = details.hop
    this.problems = details.problems ?? []
  }
}

/** What callers may write to have a tunnel, and what counts where they write nothing; `options.ts` judges it. */

export const DEFAULT_NAME = 'tun%d'
/** Leaves room for the outer headers on most links, and is what the original's examples use. */
export const DEFAULT_MTU_BYTES = 1400
/** Long enough for a chain of proxies, short enough for a person who waits at a terminal. */
export const DEFAULT_DIAL_TIMEOUT_MS = 15_000
/** Tor builds circuits meanwhile, and to an onion service several one after the other. */
export const DEFAULT_TOR_DIAL_TIMEOUT_MS = 60_000
/** Long enough for a name server to be told, short enough for a person who waits for the end. */
export const DEFAULT_HOOK_TIMEOUT_MS = 10_000

/**
 * Shell commands, each run by `/bin/sh -c` on an event, one at a time, with what the tunnel knows in the environment
 * (docs/HOOKS.md). Each line of output is a notice of code `hook-up`, `hook-down` or `hook-reconnect`; so is a failure,
 * with level `warn`.
 */
export interface Hooks {
  /** When the tunnel is up for the first time. */
  readonly up?: string | undefined
  /** When it is up again with a peer. */
  readonly reconnect?: string | undefined
  /** When the tunnel is closed, its device gone, if it was ever up. `closed` waits for it. */
  readonly down?: string | undefined
  /**
   * Time for each, in milliseconds, 1 to 3600000; then it is ended with its process group.
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined
  /**
   * Close the tunnel with the reason `ZP_HOOK` when `up` fails.
   * @defaultValue false
   */
  readonly required?: boolean | undefined
}

/** What both ends of a tunnel have. */
export interface CommonOptions {
  /**
   * Name of the network device, 1 to 15 bytes. `%d` lets the kernel choose a number; {@link Tunnel.name} tells which.
   * @defaultValue `'tun%d'`
   */
  readonly name?: string | undefined
  /**
   * Largest packet in bytes, 68 to 65535; at least 1280 when an address is IPv6. Give both ends the same.
   * @defaultValue 1400
   */
  readonly mtu?: number | undefined
  /** Addresses of this end inside the tunnel, each with its prefix length: `'10.10.0.1/24'`, `'fd00::1/64'`. */
  readonly addresses?: readonly string[] | undefined
  /**
   * Networks to route into the tunnel: `'10.0.0.0/8'`, `'fd00::/8'`; `'0.0.0.0/0'` and `'::/0'` for everything. The way
   * of a client's own stream stays outside (docs/ROUTES.md). They are gone when the tunnel is.
   */
  readonly routes?: readonly string[] | undefined
  /**
   * Carry the kernel's super-packets of up to 64 KiB whole when the peer can, which is several times faster.
   * @defaultValue true
   */
  readonly offload?: boolean | undefined
  /**
   * Congestion control of the stream when it is TCP, by the kernel's name for it: `'bbr'`, `'cubic'`.
   * @defaultValue BBR where the kernel has it, which keeps ping low under load; else the kernel's default
   */
  readonly congestion?: string | undefined
  /**
   * SO_MARK for the packets of the tunnel's own stream when it is TCP, 1 to 4294967295: for `ip rule` and firewalls, so
   * that routes into the tunnel do not swallow the stream that carries it. Takes CAP_NET_ADMIN.
   */
  readonly soMark?: number | undefined
  /**
   * Serve a control socket (docs/CONTROL.md), so that `zportal status` and others find the tunnel: true for the usual
   * place in /run/zportal, or the path of the socket.
   * @defaultValue false
   */
  readonly control?: boolean | string | undefined
  /** Serve metrics for Prometheus over HTTP at this loopback address, such as `'127.0.0.1:9100'`. */
  readonly metrics?: string | undefined
  /**
   * Let the peer measure this tunnel with `zportal bench`. While it does, and only then, this end listens inside the
   * tunnel, for the peer alone.
   * @defaultValue false
   */
  readonly bench?: boolean | undefined
  /** Programs to run on the tunnel's events. */
  readonly hooks?: Hooks | undefined
  /** Closes the tunnel when it aborts, with the reason `ZP_ABORTED`. */
  readonly signal?: AbortSignal | undefined
}

/** The end that listens. When its peer leaves it waits for the next one; the device stays. */
export interface ServerOptions extends CommonOptions {
  /**
   * Where to listen: `'192.0.2.1:7000'`, `'[2001:db8::1]:7000'`, `'host.example:7000'`, `'unix:/path'` or
   * `'unixa:name'`. Port 0 takes any free port; {@link Tunnel.local} tells which.
   */
  readonly bind: string
  /**
   * Networks that a peer may come from, when `bind` is TCP: `'192.0.2.0/24'`, `'2001:db8::1'`. Others are closed at once.
   * @defaultValue everybody
   */
  readonly allow?: readonly string[] | undefined
  readonly connect?: undefined
  readonly proxies?: undefined
  readonly proxyPasswords?: undefined
  readonly proxyPasswordFile?: undefined
  readonly tor?: undefined
  readonly torNewCircuit?: undefined
  readonly dialTimeoutMs?: undefined
  readonly once?: undefined
}

/** The end that dials, until it is up and whenever it has lost its peer; the device stays. */
export interface ClientOptions extends CommonOptions {
  /** The peer's address, in the forms of {@link ServerOptions.bind}; behind proxies it is one that the last can reach. */
  readonly connect: string
  /**
   * Proxies to go through, the nearest first: `'socks5://user:password@host:1080'`, `'http://user:password@host:3128'`
   * (CONNECT), `'socks5+unix:/path'`, `'http+unix://user:password@/path'`, or an address alone, which means SOCKS5. Each
   * names the next; the last names the peer. Only the first can be a Unix socket, because no proxy can name one. User and
   * password are percent-encoded, and never shown in a message.
   */
  readonly proxies?: readonly string[] | undefined
  /** Passwords for those proxies whose URL names a user and no password, in their order. */
  readonly proxyPasswords?: readonly string[] | undefined
  /** The same from a file, one password a line. */
  readonly proxyPasswordFile?: string | undefined
  /**
   * Go through Tor behind all other proxies: `true` for its usual address, or where it listens for SOCKS. Names, also
   * those that end in `.onion`, are Tor's to look up. The tunnel has a circuit of its own.
   * @defaultValue false; `true` means `'127.0.0.1:9050'`
   */
  readonly tor?: boolean | string | undefined
  /**
   * Ask Tor for a new circuit at each dial, not once for the tunnel.
   * @defaultValue false
   */
  readonly torNewCircuit?: boolean | undefined
  /**
   * Time for the whole way to the peer, in milliseconds, through all proxies; 1 to 3600000.
   * @defaultValue 15000, with Tor 60000
   */
  readonly dialTimeoutMs?: number | undefined
  readonly allow?: undefined
  /**
   * Dial once: the tunnel closes with the reason when that fails, or when the peer leaves.
   * @defaultValue false
   */
  readonly once?: boolean | undefined
  readonly bind?: undefined
}

/** What {@link openTunnel} takes: exactly one of `bind` and `connect`. */
export type TunnelOptions = ServerOptions | ClientOptions

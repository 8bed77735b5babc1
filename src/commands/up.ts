import { Flags } from '@oclif/core'
import { FaceCommand } from '../face/command.js'
import { foreground, isLiveTerminal } from '../face/foreground.js'
import { secondsToMs, tunnelOptions } from '../face/tunnel-options.js'
import { DEFAULT_DIAL_TIMEOUT_MS, DEFAULT_MTU_BYTES, DEFAULT_NAME } from '../options.js'

/** `zportal up`: one tunnel in the foreground. */
export default class Up extends FaceCommand {
  static override summary = 'Bring up a tunnel and keep it up in the foreground.'

  static override description = `Creates a TUN device and carries its packets over one byte stream to the other end, which runs the same command. One end listens (-b) and waits for the next peer whenever one has left; the other dials (-c) and ends when its peer leaves.

ADDR is 192.0.2.1:7000, [2001:db8::1]:7000, host.example:7000, unix:/path or unixa:name (abstract).

There is no authentication and no encryption: listen only where you trust everyone who can connect.

Exit code: 0 after SIGINT or SIGTERM; 1 when the tunnel fails, or the peer of a dialling end leaves; 2 when the command line is wrong. Failures are told on stderr as "ZP_CODE: sentence".`

  static override usage = 'up [-n NAME] [-m BYTES] [-a CIDR]... (-b ADDR | -c ADDR [-p ADDR]...)'

  static override examples = [
    'The end that listens, with an IPv4 and an IPv6 address inside the tunnel:',
    '<%= config.bin %> up -n zt0 -a 10.10.0.1/24 -a fd00::1/64 -b 0.0.0.0:7000',
    'The end that dials:',
    '<%= config.bin %> up -n zt0 -a 10.10.0.2/24 -a fd00::2/64 -c server.example:7000',
    'Through two SOCKS5 proxies, the nearest on a Unix socket; the last one resolves the name:',
    '<%= config.bin %> up -a 10.10.0.2/24 -p unix:/run/socks -p 192.0.2.9:1080 -c server.example:7000',
    'Between two containers that share a folder:',
    '<%= config.bin %> up -a 10.10.0.1/24 -b unix:/shared/zt.sock',
  ]

  static override flags = {
    name: text('n', 'NAME', `Network device; %d lets the kernel number it. [default: ${DEFAULT_NAME}]`),
    mtu: text('m', 'BYTES', `Largest packet, 68 to 65535, the same at both ends. [default: ${DEFAULT_MTU_BYTES}]`),
    address: texts('a', 'CIDR', 'Address inside the tunnel, such as 10.10.0.1/24 or fd00::1/64; repeatable.'),
    bind: text('b', 'ADDR', 'Listen there; one peer at a time.'),
    connect: text('c', 'ADDR', 'Dial the peer there.'),
    proxy: texts('p', 'ADDR', 'SOCKS5 proxy on the way; repeat it for a chain, the nearest first.'),
    'dial-timeout': Flags.string({
      helpValue: 'SECONDS',
      summary: `Time for the whole way to the peer. [default: ${DEFAULT_DIAL_TIMEOUT_MS / 1000}]`,
    }),
    offload: Flags.boolean({
      allowNo: true,
      default: true,
      summary: 'Carry super-packets of up to 64 KiB when the peer can, which is much faster.',
    }),
    congestion: Flags.string({
      helpValue: 'NAME',
      summary: 'Congestion control of the TCP stream: bbr, cubic. [default: bbr where the kernel has it]',
    }),
  }

  protected override flagNames = {
    name: '--name',
    mtu: '--mtu',
    addresses: '--address',
    bind: '--bind',
    connect: '--connect',
    proxies: '--proxy',
    dialTimeoutMs: '--dial-timeout',
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Up)
    const dialTimeoutMs = secondsToMs(flags['dial-timeout'])
    const options = tunnelOptions({ ...flags, dialTimeoutMs })
    await foreground(options, { live: isLiveTerminal(process.stderr, process.env) })
  }
}

function text(char: 'n' | 'm' | 'b' | 'c', helpValue: string, summary: string) {
  return Flags.string({ char, helpValue, summary })
}

function texts(char: 'a' | 'p', helpValue: string, summary: string) {
  return Flags.string({ char, helpValue, summary, multiple: true, multipleNonGreedy: true })
}

import { Flags } from '@oclif/core'
import { takeLogLevel } from '../config/log-level.js'
import { reloader, soundOptions } from '../config/reload.js'
import { request } from '../config/request.js'
import { CONFIG_ARGS } from '../face/arguments.js'
import { FaceCommand } from '../face/command.js'
import { foreground, isLiveTerminal } from '../face/foreground.js'
import { hidePasswords } from '../face/process-title.js'
import { settingFlags, withValues } from '../face/setting-flags.js'

/** `zportal up`: one tunnel in the foreground. */
export default class Up extends FaceCommand {
  static override summary = 'Bring up a tunnel and keep it up in the foreground.'

  static override description = `Creates a TUN device and carries its packets over one byte stream to the other end, which runs the same command. One end listens (-b) and waits for the next peer whenever one has left; the other dials (-c), until it is up and again whenever it has lost its peer. The device stays all the time.

With --once the dialling end ends when its dial fails or its peer leaves.

ADDR is 192.0.2.1:7000, [2001:db8::1]:7000, host.example:7000, unix:/path or unixa:name (abstract).

PROXY is socks5://[USER[:PASSWORD]@]HOST:PORT, http://[USER[:PASSWORD]@]HOST:PORT (CONNECT), socks5+unix:/path, http+unix:/path, or an ADDR, which means SOCKS5. USER and PASSWORD are percent-encoded. Everyone on a machine can read command lines: a password that does not stand in the URL comes from --proxy-password-file or the variable ZPORTAL_PROXY_PASSWORD, one a line for each proxy that lacks it.

With CONFIG or -f the settings come from a TOML file: each flag below is a key there, and flags win over the file.

There is no authentication and no encryption: listen only where you trust everyone who can connect.

Exit code: 0 after SIGINT or SIGTERM; 1 when the tunnel fails, or with --once when the dial fails or the peer leaves; 2 when the command line or the file is wrong. Failures are told on stderr as "ZP_CODE: sentence".`

  static override usage = [
    'up [-n NAME] [-m BYTES] [-a CIDR]... (-b ADDR | -c ADDR [-p PROXY]... [--tor[=ADDR]])',
    'up (CONFIG | -f FILE) [flags that win over it]',
  ]

  static override examples = [
    'The end that listens, with an IPv4 and an IPv6 address inside the tunnel:',
    '<%= config.bin %> up -n zt0 -a 10.10.0.1/24 -a fd00::1/64 -b 0.0.0.0:7000',
    'The end that dials:',
    '<%= config.bin %> up -n zt0 -a 10.10.0.2/24 -a fd00::2/64 -c server.example:7000',
    'Through a SOCKS5 proxy on a Unix socket and an HTTP proxy with a password; the last one resolves the name:',
    '<%= config.bin %> up -a 10.10.0.2/24 -p unix:/run/socks -p http://alice@proxy.example:3128 --proxy-password-file ~/.proxy -c server.example:7000',
    'Through Tor to an onion service:',
    '<%= config.bin %> up -a 10.10.0.2/24 --tor -c exampleonionaddress.onion:7000',
    'Between two containers that share a folder:',
    '<%= config.bin %> up -a 10.10.0.1/24 -b unix:/shared/zt.sock',
    'As /etc/zportal/lab.toml says, with another MTU:',
    '<%= config.bin %> up lab -m 1300',
  ]

  static override args = CONFIG_ARGS

  static override flags = {
    file: Flags.string({ char: 'f', helpValue: 'FILE', summary: 'Config file, wherever it lies.' }),
    ...settingFlags(),
  }

  async run(): Promise<void> {
    hidePasswords(process)
    const { args, flags } = await this.parse(Up, withValues(this.argv))
    const source = { config: args.config, file: flags.file }
    const asked = await request(flags, source, process.env)
    this.nameOf = asked.nameOf
    const { logLevel, options } = takeLogLevel(asked.options)
    let level = logLevel
    const read = async () => {
      const { asked: again, parsed, logLevel } = soundOptions(await request(flags, source, process.env))
      // The same as at the beginning.
      return { asked: again, parsed: { ...parsed, bench: again.bench ?? true }, logLevel }
    }
    await foreground(
      { ...options, control: options.control ?? true, bench: options.bench ?? true },
      {
        live: isLiveTerminal(process.stderr, process.env),
        logLevel: () => level,
        config: asked.file?.path,
        reload: asked.file && reloader(asked.options, read, (next) => (level = next)),
      },
    )
  }
}

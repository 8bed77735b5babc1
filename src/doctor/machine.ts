/** Judges what the kernel allows. Pure: facts and answers in, findings out. */

import { constants } from 'node:os'
import type { DeviceProbe, PlainProbe } from '../native-probe.js'
import type { MachineFacts } from './facts.js'
import type { Finding } from './finding.js'
import { fail, pass, warn } from './finding.js'

/** A wait with a deadline, `IORING_FEAT_EXT_ARG`, came with it. */
const KERNEL_MIN = [5, 11] as const
/** `TUN_F_USO4` and `TUN_F_USO6` came with it. */
const KERNEL_WITH_USO = '6.2'

const CAPABILITY_CURE =
  'run it as root, or grant CAP_NET_ADMIN: AmbientCapabilities= in a service, --cap-add NET_ADMIN for a container'

export function judgeKernel({ release }: Pick<MachineFacts, 'release'>): Finding {
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? []
  const isEnough = Number(major) > KERNEL_MIN[0] || (Number(major) === KERNEL_MIN[0] && Number(minor) >= KERNEL_MIN[1])
  const wanted = `Linux ${KERNEL_MIN.join('.')}`
  return isEnough
    ? pass('kernel.version', `Linux ${release}; ${wanted} or newer is needed`)
    : fail('kernel.version', `Linux ${release} is older than ${wanted}`, `boot a kernel of ${wanted} or newer`, {
        code: 'ZP_IO_URING',
      })
}

export function judgeRing(facts: MachineFacts, { failure }: PlainProbe): Finding {
  const code = 'ZP_IO_URING'
  if (failure === undefined) {
    return facts.ioUringDisabled === '1'
      ? warn(
          'io-uring',
          'io_uring works for this user, and by the sysctl kernel.io_uring_disabled=1 not for one without privileges',
          'for a service without CAP_SYS_ADMIN: put its group into kernel.io_uring_group, or set the sysctl to 0',
        )
      : pass('io-uring', 'io_uring works')
  }
  const refused = (cause: string, cure: string) => fail('io-uring', `io_uring does not work: ${cause}`, cure, { code })
  const allow = 'allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile'
  switch (failure.errno) {
    case constants.errno.EPERM:
    case constants.errno.EACCES:
      if (facts.ioUringDisabled === '1' || facts.ioUringDisabled === '2') {
        const sysctl = `kernel.io_uring_disabled=${facts.ioUringDisabled}`
        return refused(`the sysctl ${sysctl} forbids it`, 'sysctl -w kernel.io_uring_disabled=0')
      }
      return facts.seccomp
        ? refused("a seccomp filter forbids it, as Docker's default profile does", allow)
        : refused('a security module forbids it', "see the kernel's log for the denial (SELinux, AppArmor)")
    case constants.errno.ENOSYS:
      return facts.seccomp
        ? refused('a seccomp filter hides it, or this kernel has none', `${allow}; else boot another kernel`)
        : refused('this kernel was built without it', 'boot a kernel with CONFIG_IO_URING')
    case constants.errno.ENOMEM:
      return refused(
        `the limit of locked memory is too low (${facts.memlock} bytes)`,
        'raise it: ulimit -l, LimitMEMLOCK=',
      )
    case undefined:
    default:
      return refused(failure.message, 'see docs/ERRORS.md, ZP_IO_URING')
  }
}

export function judgeCapability({ netAdmin }: Pick<MachineFacts, 'netAdmin'>): Finding {
  return netAdmin
    ? pass('process.net-admin', 'this process has CAP_NET_ADMIN')
    : fail('process.net-admin', 'this process has no CAP_NET_ADMIN', CAPABILITY_CURE, { code: 'ZP_TUN_PERMISSION' })
}

export function judgeTunFile({ tunRefusal }: Pick<MachineFacts, 'tunRefusal'>): Finding {
  switch (tunRefusal) {
    case undefined:
      return pass('tun.device', '/dev/net/tun can be opened')
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO': {
      const cure = 'modprobe tun, or pass the device into the container: --device /dev/net/tun'
      return fail('tun.device', `there is no /dev/net/tun (${tunRefusal})`, cure, { code: 'ZP_TUN_MISSING' })
    }
    default: {
      const cure =
        'chmod 666 /dev/net/tun; in a container --device /dev/net/tun, in a service DeviceAllow=/dev/net/tun rw'
      return fail('tun.device', `/dev/net/tun may not be opened (${tunRefusal})`, cure, { code: 'ZP_TUN_PERMISSION' })
    }
  }
}

/** What came of creating a device, the name aside. */
export function judgeDevice({ offloads, failure }: DeviceProbe, facts: MachineFacts, wanted: boolean): Finding[] {
  if (failure !== undefined) {
    // Told already, with the cure.
    if (facts.tunRefusal !== undefined || !facts.netAdmin) return []
    const isPermission = failure.code === 'ZP_TUN_PERMISSION'
    const cure = isPermission
      ? 'CAP_NET_ADMIN must be one over this network namespace: start it in the namespace of its own user namespace'
      : "see docs/ERRORS.md and the kernel's log"
    return [fail('tun.create', failure.message, cure, { code: isPermission ? 'ZP_TUN_PERMISSION' : 'ZP_TUN_IO' })]
  }
  return [pass('tun.create', 'a TUN device can be created'), judgeOffloads(offloads ?? [], facts, wanted)]
}

function judgeOffloads(offloads: readonly string[], { release }: MachineFacts, wanted: boolean): Finding {
  const id = 'tun.offloads'
  if (!wanted) return pass(id, 'super-packets are switched off by option')
  const has = (...names: string[]) => names.every((name) => offloads.includes(name))
  if (has('TSO4', 'TSO6', 'USO4', 'USO6')) return pass(id, `super-packets of TCP and UDP: ${offloads.join(', ')}`)
  if (has('TSO4', 'TSO6')) {
    const cure = `boot Linux ${KERNEL_WITH_USO} or newer, if it carries many datagrams`
    return warn(id, `Linux ${release} gives super-packets of TCP only; bursts of datagrams are merged on the way`, cure)
  }
  const cure = 'boot another kernel; without them a stream is several times slower'
  return warn(id, 'the kernel gives no super-packets (TUNSETOFFLOAD)', cure)
}

/** The name, where a device of that name could not be created and one of another name could. */
export function judgeName(name: string, { failure }: DeviceProbe): Finding[] {
  if (failure === undefined) {
    return [pass('device.name', name.includes('%d') ? `the kernel numbers ${name}` : `the name ${name} is free`)]
  }
  if (failure.code !== 'ZP_TUN_NAME_TAKEN') return []
  const cure = 'choose another with -n, or tun%d to let the kernel number it; ip -details link tells what it is'
  const message = `there is a network device ${name} already, perhaps of a tunnel that runs`
  return [fail('device.name', message, cure, { code: 'ZP_TUN_NAME_TAKEN' })]
}

/** What is known of a congestion control. */
export interface CongestionFacts {
  readonly name: string
  readonly loaded: boolean
  /** Whether the kernel could load it. */
  readonly loadable: boolean
  /** The kernel's answer where it is loaded and was asked for. */
  readonly errno: number | undefined
}

export function judgeCongestion({ name, loaded, loadable, errno }: CongestionFacts): Finding {
  const id = 'tcp.congestion'
  const otherwise = "without it the kernel's default is used, and ping rises while the link is full"
  if (!loaded) {
    return loadable
      ? pass(id, `the kernel loads ${name} when it is first used`)
      : warn(
          id,
          `this kernel has no congestion control ${name}`,
          `modprobe tcp_${name}, or another kernel; ${otherwise}`,
        )
  }
  switch (errno) {
    case undefined:
      return pass(id, `the stream can use ${name}`)
    case constants.errno.EPERM: {
      const cure = `add it to the sysctl net.ipv4.tcp_allowed_congestion_control; ${otherwise}`
      return warn(id, `${name} is reserved for CAP_NET_ADMIN`, cure)
    }
    default:
      return warn(id, `the kernel refuses ${name} (errno ${errno})`, otherwise)
  }
}

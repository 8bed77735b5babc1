/** What the figures were taken on: without it they say nothing. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cpus, release, totalmem } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'

import { ROOT, run } from '../run.mjs'

/** How long the machine is watched while nothing of ours runs, in milliseconds. */
const WATCH_MS = 500

export async function describeMachine() {
  return {
    cpu: cpus()[0].model.trim(),
    cores: cpus().length,
    memoryGib: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: release(),
    system: /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux',
    congestion: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
    node: process.version,
    iperf3: await version('iperf3', ['--version'], /iperf (\S+)/),
    openvpn: await version('openvpn', ['--version'], /OpenVPN (\S+)/),
    socat: await version('socat', ['-V'], /socat version (\S+)/),
  }
}

/** The commit that is measured, and whether files differ from it: results that it wrote itself do not count. */
export async function describeCommit() {
  const { code, output } = await run('git', ['rev-parse', '--short', 'HEAD'], { quiet: true })
  if (code !== 0) return 'unknown'
  const changed = await run('git', ['status', '--porcelain', '--', '.', ':!docs/bench'], { quiet: true })
  return `${output.trim()}${changed.output.trim() ? ' with changes' : ''}`
}

export function projectVersion() {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version
}

/** How busy the machine is without us, in percent of all its cores. */
export async function busyPercent() {
  const before = ticks()
  await pause(WATCH_MS)
  return Math.round(100 - share(before, ticks(), 'idle'))
}

/** Watches how much of its time a virtual machine was not given its processors; the returned function tells. */
export function watchStolen() {
  const before = ticks()
  return () => Math.round(share(before, ticks(), 'stolen') * 10) / 10
}

function share(before, after, kind) {
  return (100 * (after[kind] - before[kind])) / Math.max(1, after.all - before.all)
}

/** The clock ticks of all cores since the machine started (proc(5)). */
function ticks() {
  const [, line] = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))
  const [user, nice, system, idle, ioWait, irq, softIrq, stolen] = line.split(' ').map(Number)
  return { all: user + nice + system + idle + ioWait + irq + softIrq + stolen, idle: idle + ioWait, stolen }
}

async function version(command, args, pattern) {
  const { output } = await run(command, args, { quiet: true })
  return pattern.exec(output)?.[1] ?? 'not installed'
}

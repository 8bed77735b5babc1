/** Throughput through the tunnel, by the real `iperf3`. */
import type { Namespace } from './namespace.js'

export interface Iperf3Options {
  seconds?: number
  streams?: number
  /** The server sends and the client receives. */
  reverse?: boolean
}

interface Iperf3Report {
  error?: string
  end: { sum_received: { bits_per_second: number }; sum_sent: { retransmits?: number } }
}

/** What arrived, in bits per second of TCP payload. */
export async function iperf3(
  from: Namespace,
  to: { namespace: Namespace; address: string },
  { seconds = 2, streams = 1, reverse = false }: Iperf3Options = {},
): Promise<number> {
  await using server = to.namespace.spawn(['iperf3', '-s', '-1', '-B', to.address, '--forceflush'])
  await server.line(/Server listening/)
  await using client = from.spawn([
    ...['iperf3', '-J', '-c', to.address, '-t', String(seconds), '-P', String(streams)],
    ...(reverse ? ['-R'] : []),
  ])
  await client.exit(seconds * 1000 + 15_000)
  const report = JSON.parse(client.stdout) as Iperf3Report
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`)
  return report.end.sum_received.bits_per_second
}

/** A transfer over TCP through the tunnel, whose data both ends hash: equal, or it did not arrive. */
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'

const SCRIPT = fileURLToPath(new URL('inside/transfer.mjs', import.meta.url))

/** Slower than this and the tunnel is broken, not slow: 64 MiB take 18 s at 30 Mbit/s. */
const DEADLINE_MS = 60_000

export const TRANSFER_BYTES = 64 * 1024 * 1024

interface Seen {
  bytes: number
  sha256: string
}

/** Sends random bytes from one namespace to an address in the other; gives what each end saw. */
export async function transfer(
  from: Namespace,
  to: { namespace: Namespace; address: string },
  { bytes = TRANSFER_BYTES, seed = 'zportal', deadlineMs = DEADLINE_MS } = {},
): Promise<{ sent: Seen; received: Seen; seconds: number }> {
  await using receiver = to.namespace.spawn([process.execPath, SCRIPT, 'receive', to.address])
  const port = (await receiver.line(/"port":(\d+)/))[1] ?? ''
  const startedAt = performance.now()
  await using sender = from.spawn([...[process.execPath, SCRIPT, 'send', to.address, port, String(bytes), seed]])
  const [sent] = await sender.line(/\{.*"sha256".*\}/, { deadlineMs })
  const [received] = await receiver.line(/\{.*"sha256".*\}/, { deadlineMs })
  const seconds = (performance.now() - startedAt) / 1000
  await sender.exitsWith(0)
  await receiver.exitsWith(0)
  return { sent: JSON.parse(sent) as Seen, received: JSON.parse(received) as Seen, seconds }
}

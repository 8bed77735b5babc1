/** Features of a network device: what a cable's end leaves to the other, and what it does itself. */
import { fileURLToPath } from 'node:url'

import type { Namespace } from './namespace.js'

const SCRIPT = fileURLToPath(new URL('inside/features.pl', import.meta.url))

/** Switches features by the kernel's names for them; fails if one does not become what was asked for. */
export async function setFeatures(at: Namespace, device: string, features: Record<string, boolean>): Promise<void> {
  const wanted = Object.entries(features).map(([name, on]) => `${name}=${on ? 'on' : 'off'}`)
  await at.run('perl', SCRIPT, device, ...wanted)
}

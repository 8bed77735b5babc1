/** An npm registry of our own (verdaccio), on the loopback of one namespace; it knows only what is published there. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import { until } from './deadline.js'
import type { Lab } from './lab.js'
import type { Namespace } from './namespace.js'

const PORT = 4873
/** It loads some hundred modules first. In milliseconds. */
const START_MS = 60_000

/** Starts one and gives its address, as seen from the namespace. Its storage is the laboratory's. */
export async function registry(lab: Lab, at: Namespace): Promise<string> {
  const folder = await lab.path('registry')
  mkdirSync(folder)
  const settings = {
    storage: join(folder, 'storage'),
    // No other registry behind it: what an installation needs is published here, or it fails.
    uplinks: {},
    packages: { '**': { access: '$all', publish: '$all' } },
    web: { enable: false },
    log: { type: 'stdout', format: 'pretty', level: 'http' },
  }
  const file = join(folder, 'config.yaml')
  writeFileSync(file, JSON.stringify(settings)) // JSON is YAML.
  const verdaccio = join(dirname(createRequire(import.meta.url).resolve('verdaccio/package.json')), 'bin', 'verdaccio')
  const child = at.spawn([process.execPath, verdaccio, '--config', file, '--listen', `127.0.0.1:${PORT}`])
  await child.line(/http address/, { deadlineMs: START_MS })
  await until('an answer of the registry', START_MS, () => answers(at))
  return `http://127.0.0.1:${PORT}/`
}

async function answers(at: Namespace): Promise<boolean> {
  return at.run('curl', '-sf', `http://127.0.0.1:${PORT}/-/ping`).then(
    () => true,
    () => false,
  )
}

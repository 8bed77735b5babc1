/** Writes a unit where systemd looks for it. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ZPortalError } from '../errors.js'
import { MARK, unitName } from './unit.js'

/** Units of the administrator (systemd.unit(5)). */
export const UNIT_FOLDER = '/etc/systemd/system'
/** There exactly while systemd is the service manager (sd_booted(3)). */
const SYSTEMD_RUNS = '/run/systemd/system'

/** The path of the unit. */
export function unitPath(name: string, folder: string): string {
  return join(folder, unitName(name))
}

/**
 * Writes the unit, whole or not at all, and lets a running systemd read it.
 *
 * @throws {@link ZPortalError} `ZP_SERVICE` when there is a unit that somebody else wrote, or it cannot be written.
 */
export function install(name: string, text: string, folder: string): { readonly reloaded: boolean } {
  const path = unitPath(name, folder)
  if (existsSync(path) && !readFileSync(path, 'utf8').startsWith(MARK)) {
    throw new ZPortalError('ZP_SERVICE', `${path} is there already and was written by somebody else: move it away`)
  }
  try {
    mkdirSync(folder, { recursive: true })
    const fresh = `${path}.new`
    writeFileSync(fresh, text, { mode: 0o644 })
    renameSync(fresh, path)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ZPortalError('ZP_SERVICE', `cannot write ${path}: ${reason}; run it as root`, { cause })
  }
  const isOurs = folder === UNIT_FOLDER && existsSync(SYSTEMD_RUNS)
  if (isOurs) execFileSync('systemctl', ['daemon-reload'], { stdio: ['ignore', 'ignore', 'inherit'] })
  return { reloaded: isOurs }
}

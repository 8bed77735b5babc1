/** A folder of control sockets for each test of a file, and ways to speak to what listens in it. */

import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { networkNamespace } from '../../src/control/place.js'
import { openTunnelWith } from '../../src/open.js'
import type { TunnelOptions } from '../../src/tunnel-options.js'
import type { Tunnel } from '../../src/tunnel.js'
import { FakeAddon } from './fake-native.js'

export const NETNS = networkNamespace()

export interface RunDir {
  /** The folder, made anew for each test. */
  readonly folder: string
  /** The environment that leads to it, as the process has it too. */
  readonly env: NodeJS.ProcessEnv
  /** Where a tunnel of that name has its control socket. */
  socketOf(name: string): string
}

/** Makes a folder before each test of the file and removes it after: to be called once, beside the tests. */
export function useRunDir(): RunDir {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zportal-control-'))
    process.env['ZPORTAL_RUN_DIR'] = folder
  })
  afterEach(() => {
    delete process.env['ZPORTAL_RUN_DIR']
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    get folder() {
      return folder
    },
    get env() {
      return { ZPORTAL_RUN_DIR: folder }
    },
    socketOf: (name) => join(folder, String(NETNS), `${name}.sock`),
  }
}

export async function open(options: TunnelOptions, host = {}, addon = new FakeAddon()): Promise<Tunnel> {
  return openTunnelWith(() => addon, options, host)
}

export function fetchUnix(
  socketPath: string,
  method: string,
  path: string,
): Promise<{ statusCode: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, method, path, agent: false }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => {
        resolve({ statusCode: response.statusCode ?? 0, body })
      })
    })
      .on('error', reject)
      .end()
  })
}

export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
  })
}

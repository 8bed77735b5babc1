/** Asks running tunnels over their control sockets. */

import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { ZPortalError } from '../errors.js'
import type { ErrorCode } from '../errors.js'
import { ERROR_CODES } from '../errors.js'
import type { Invitation } from '../bench/parley.js'
import type { Reloaded } from './serve.js'
import type { Reason, TunnelStatus } from './status.js'
import { STATUS_VERSION } from './status.js'
import type { Samples } from './recorder.js'

/** A process that answers takes microseconds; one that does not within this time is stuck or stopped. */
const ANSWER_WITHIN_MS = 3000
/** A reload ends what it replaces. */
const RELOAD_WITHIN_MS = 30_000
/** The tunnel gives its peer less than that to answer. */
const BENCH_WITHIN_MS = 10_000

/** Nobody listens there: the tunnel has ended, or never was. */
export class NobodyThere extends Error {}

export function askStatus(socket: string): Promise<TunnelStatus> {
  return ask<TunnelStatus>(socket, 'GET', '/status')
}

export function askSamples(socket: string): Promise<Samples> {
  return ask<Samples>(socket, 'GET', '/samples')
}

/** Resolves with the last status once the tunnel is gone, for which its hooks may take as long as they are given. */
export function askDown(socket: string): Promise<TunnelStatus> {
  return ask<TunnelStatus>(socket, 'POST', '/down')
}

export function askReload(socket: string): Promise<Reloaded> {
  return ask<Reloaded>(socket, 'POST', '/reload', RELOAD_WITHIN_MS)
}

/** Lets the peer begin to listen for a bench; where, and what to show there. */
export function askBench(socket: string): Promise<Invitation> {
  return ask<Invitation>(socket, 'POST', '/bench', BENCH_WITHIN_MS)
}

/**
 * The lines of `GET /events` as they are, the first at once; ends when the tunnel does, be it killed, or with the
 * signal. Who leaves off reading hangs up.
 */
export async function* askEvents(socket: string, signal?: AbortSignal): AsyncGenerator<string> {
  const response = await send(socket, 'GET', '/events', ANSWER_WITHIN_MS, signal)
  response.setEncoding('utf8')
  let begun = ''
  try {
    for await (const chunk of response) {
      const lines = (begun + (chunk as string)).split('\n')
      begun = lines.pop() ?? ''
      yield* lines
    }
  } catch (error) {
    const failure = translated(error as NodeJS.ErrnoException, socket)
    if (signal?.aborted !== true && !(failure instanceof NobodyThere)) throw failure
  }
}

async function ask<T>(socket: string, method: string, path: string, withinMs = ANSWER_WITHIN_MS): Promise<T> {
  const response = await send(socket, method, path, withinMs)
  const answer = await text(response).catch((error: unknown) => {
    throw translated(error as NodeJS.ErrnoException, socket)
  })
  let body: { version?: unknown; error?: Reason }
  try {
    body = JSON.parse(answer) as typeof body
  } catch (cause) {
    throw new ZPortalError('ZP_CONTROL', `what answered at ${socket} is no ZPortal`, { cause })
  }
  if (body.version !== STATUS_VERSION) {
    const got = `got version ${String(body.version)}, this is ${STATUS_VERSION}`
    throw new ZPortalError('ZP_CONTROL', `the tunnel at ${socket} speaks another version: ${got}; restart it`)
  }
  if (body.error !== undefined) throw toError(body.error)
  return body as T
}

function send(
  socket: string,
  method: string,
  path: string,
  withinMs: number,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath: socket, method, path, agent: false, ...(signal === undefined ? {} : { signal }) },
      (response) => {
        clearTimeout(timer)
        resolve(response)
      },
    )
    const timer = setTimeout(() => {
      asked.destroy(
        new ZPortalError('ZP_CONTROL', `the tunnel at ${socket} does not answer within ${withinMs / 1000} s`),
      )
    }, withinMs)
    asked.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(translated(error, socket))
    })
    asked.end()
  })
}

function translated(error: NodeJS.ErrnoException, socket: string): Error {
  if (error instanceof ZPortalError) return error
  switch (error.code) {
    // The end of a process in the middle of an answer is no other than one before it.
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return new NobodyThere(error.message, { cause: error })
    case 'EACCES':
    case 'EPERM':
      return new ZPortalError(
        'ZP_CONTROL',
        `the tunnel at ${socket} belongs to another user: ask as that user or as root`,
        { cause: error },
      )
    case 'ABORT_ERR':
      return new ZPortalError('ZP_ABORTED', 'aborted by the signal that was given', { cause: error })
    case undefined:
    default:
      return new ZPortalError('ZP_CONTROL', `the tunnel at ${socket} cannot be asked: ${error.message}`, {
        cause: error,
      })
  }
}

function toError({ code, message, errno, hop }: Reason): ZPortalError {
  const known = (ERROR_CODES as readonly string[]).includes(code) ? (code as ErrorCode) : 'ZP_CONTROL'
  return new ZPortalError(known, message, { errno, hop })
}

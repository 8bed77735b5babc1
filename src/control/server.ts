/** HTTP over the control socket, and `/metrics` alone over TCP. Knows how to answer, not what a tunnel is. */

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { ZPortalError } from '../errors.js'
import { METRICS_TYPE } from './metrics.js'
import { reasonOf, STATUS_VERSION } from './status.js'

/** More at a time are turned away: a control socket has few users, and each costs a descriptor. */
const CONNECTIONS_MAX = 64
/** A request has no body worth mentioning and comes from this machine. */
const REQUEST_WITHIN_MS = 5000
/** Bytes that may wait for a reader of events who does not read; then it is let go. */
const UNREAD_MAX_BYTES = 1 << 20

/** What the socket can be asked. Each answer is JSON. */
export interface Answers {
  status(): object
  samples(): object
  metrics(): string
  /** Closes the tunnel; resolves once it is gone. */
  down(): Promise<object>
  reload(): Promise<object>
  /** Asks the peer to take part in a bench. */
  bench(): Promise<object>
  /** Tells each event from now on, and returns how to stop that. The first is told at once. */
  readonly follow: (tell: (event: object) => void) => () => void
}

/** A server whose answers are those of one tunnel. */
export interface ControlServer {
  readonly server: Server
  /** Answers what was asked already, then lets everybody go. */
  readonly close: () => Promise<void>
}

type Handler = (response: ServerResponse) => void | Promise<void>

/** Everything, for those who may reach the socket. */
export function controlServer(answers: Answers): ControlServer {
  const streams = new Set<ServerResponse>()
  const routes: Record<string, Record<string, Handler>> = {
    '/status': {
      GET: (response) => {
        json(response, answers.status())
      },
    },
    '/samples': {
      GET: (response) => {
        json(response, answers.samples())
      },
    },
    '/metrics': {
      GET: (response) => {
        text(response, answers.metrics())
      },
    },
    '/events': {
      GET: (response) => {
        streams.add(response)
        response.on('close', () => streams.delete(response))
        stream(response, answers)
      },
    },
    '/down': {
      POST: async (response) => {
        // Hooks may take their time; whoever waits knows from the head that somebody is at work.
        response.writeHead(200, { 'Content-Type': 'application/json' })
        response.flushHeaders()
        response.end(`${JSON.stringify(await answers.down())}\n`)
      },
    },
    '/reload': {
      POST: async (response) => {
        json(response, await answers.reload())
      },
    },
    '/bench': {
      POST: async (response) => {
        json(response, await answers.bench())
      },
    },
  }
  return serving(routes, streams)
}

/** The metrics and nothing else, for a port that every user of this machine can reach. */
export function metricsServer(answers: Pick<Answers, 'metrics'>): ControlServer {
  return serving(
    {
      '/metrics': {
        GET: (response) => {
          text(response, answers.metrics())
        },
      },
    },
    new Set(),
  )
}

function serving(
  routes: Readonly<Record<string, Readonly<Record<string, Handler>>>>,
  streams: ReadonlySet<ServerResponse>,
): ControlServer {
  const open = new Set<ServerResponse>()
  const server = createServer({ requestTimeout: REQUEST_WITHIN_MS, connectionsCheckingInterval: REQUEST_WITHIN_MS })
  server.maxConnections = CONNECTIONS_MAX
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    open.add(response)
    response.on('close', () => open.delete(response))
    // What is in a body is of no interest, and the connection is not kept: the next question may come much later.
    request.resume()
    response.shouldKeepAlive = false
    void answer(routes, request, response)
  })
  // A client that speaks no HTTP, or leaves in the middle.
  server.on('clientError', (_, socket) => socket.destroy())
  return {
    server,
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve()
        })
      })
      for (const response of streams) response.end()
      await Promise.race([Promise.all([...open].map(ended)), later(FLUSH_WITHIN_MS)])
      server.closeAllConnections()
      await closed
    },
  }
}

/** How long a reader has, at the end, to take what is still waiting for it. */
const FLUSH_WITHIN_MS = 200

async function answer(
  routes: Parameters<typeof serving>[0],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url = '/' } = request
  const path = url.split('?', 1)[0] ?? '/'
  const methods = Object.hasOwn(routes, path) ? routes[path] : undefined
  if (methods === undefined) {
    refuse(response, 404, `there is no ${path}; there is ${Object.keys(routes).join(', ')}`)
  } else if (!Object.hasOwn(methods, method)) {
    response.setHeader('Allow', Object.keys(methods).join(', '))
    refuse(response, 405, `${path} takes ${Object.keys(methods).join(', ')}, got ${method}`)
  } else {
    try {
      await methods[method]?.(response)
    } catch (error) {
      const reason = error instanceof ZPortalError ? reasonOf(error) : { code: 'ZP_INTERNAL', message: String(error) }
      json(response, { version: STATUS_VERSION, error: reason }, error instanceof ZPortalError ? 409 : 500)
    }
  }
}

function stream(response: ServerResponse, { follow }: Answers): void {
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
  response.flushHeaders()
  const stop = follow((event) => {
    response.write(`${JSON.stringify(event)}\n`)
    if (response.writableLength > UNREAD_MAX_BYTES) response.destroy()
  })
  response.on('close', stop)
}

function refuse(response: ServerResponse, statusCode: number, message: string): void {
  json(response, { version: STATUS_VERSION, error: { code: 'ZP_CONTROL', message } }, statusCode)
}

function json(response: ServerResponse, body: object, statusCode = 200): void {
  send(response, statusCode, 'application/json', `${JSON.stringify(body)}\n`)
}

function text(response: ServerResponse, body: string): void {
  send(response, 200, METRICS_TYPE, body)
}

function send(response: ServerResponse, statusCode: number, type: string, body: string): void {
  if (response.destroyed) return
  response.writeHead(statusCode, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

function ended(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed || response.writableFinished) resolve()
    else response.on('close', resolve)
  })
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

/** What a hook is told, in its environment; docs/HOOKS.md has the table. Pure. */

import type { ZPortalError } from '../errors.js'

/** On which event a hook runs. */
export type HookEvent = 'up' | 'down' | 'reconnect'

/** What is known of the tunnel at that moment. */
export interface HookFacts {
  readonly event: HookEvent
  readonly name: string
  readonly role: 'server' | 'client'
  readonly local: string | undefined
  readonly peer: string | undefined
  readonly mtuBytes: number
  readonly addresses: readonly string[]
  readonly routes: readonly string[]
  /** Why the last session, or the tunnel, ended. */
  readonly reason: ZPortalError | undefined
}

/** They speak to this process alone: a child that used them would speak in its name. */
const OURS = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']

/** This process's environment with our variables; one that has no value now is not there. */
export function hookEnvironment(facts: HookFacts, inherited: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { event, name, role, local, peer, mtuBytes, addresses, routes, reason } = facts
  const told = {
    ZPORTAL_HOOK: event,
    ZPORTAL_NAME: name,
    ZPORTAL_ROLE: role,
    ZPORTAL_LOCAL: local,
    ZPORTAL_PEER: peer,
    ZPORTAL_MTU: String(mtuBytes),
    ZPORTAL_ADDRESSES: addresses.join(' '),
    ZPORTAL_ROUTES: routes.join(' '),
    ZPORTAL_REASON: reason?.code,
    ZPORTAL_REASON_TEXT: reason?.message,
  }
  const kept = Object.entries(inherited).filter(([key]) => !OURS.includes(key) && !(key in told))
  const ours = Object.entries(told).flatMap(([key, value]) => (value === undefined ? [] : [[key, oneLine(value)]]))
  return Object.fromEntries([...kept, ...ours]) as NodeJS.ProcessEnv
}

/** The peer chooses its own words; a NUL in them could not be passed on at all. */
function oneLine(text: string): string {
  return text.replace(/\p{C}+/gu, ' ')
}

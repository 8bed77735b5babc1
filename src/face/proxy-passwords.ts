/** Passwords of proxies that stand in the environment, where `ps` does not show them. */

import { lacksPassword, parseProxy } from '../proxy.js'

/** Holds them, one a line, for the proxies whose URLs name a user only. */
export const PASSWORD_VARIABLE = 'ZPORTAL_PROXY_PASSWORD'

/**
 * The options with the variable's passwords, if there are proxies that lack theirs and no file gives them: it may be set
 * for another tunnel.
 */
export function withPasswordsOf(
  env: NodeJS.ProcessEnv,
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { proxies, proxyPasswordFile } = options
  const text = env[PASSWORD_VARIABLE]
  const isLacking = (proxy: unknown) => {
    const { value } = typeof proxy === 'string' ? parseProxy(proxy) : {}
    return value !== undefined && lacksPassword(value)
  }
  if (text === undefined || proxyPasswordFile !== undefined) return options
  if (!Array.isArray(proxies) || !proxies.some(isLacking)) return options
  return { ...options, proxyPasswords: text.replace(/\r?\n$/, '').split(/\r?\n/) }
}

/** Passwords never reach a log, a message or a screen: what shows a URL shows it through here. */

/** What stands in a URL between `://` and the last `@`: a name, and behind the colon a password. */
const CREDENTIALS = /(:\/\/(?:\$\{[^}]*\}|\$(?!\{)|[^\s/:@$])*):(.*)@/g
/** A password that is only a reference to where it is kept, see `config/secrets.ts`. */
const ONLY_REFERENCES = /^(\$\{[^}]*\})+$/

/** The text with `***` in the place of passwords in URLs. */
export function withoutPasswords(text: string): string {
  return text.replace(CREDENTIALS, (whole, before: string, password: string) =>
    ONLY_REFERENCES.test(password) ? whole : `${before}:***@`,
  )
}

/**
 * One refused value as a message may show it: what stands before its last `@` may be a name and a password, also where
 * the rest is no URL, and some services take a secret as the name. Unix sockets are left as they are.
 */
export function redact(value: string): string {
  return /^unixa?:/.test(value) ? value : value.replace(/^([a-z0-9.+-]+:\/\/)?.*@/is, '$1***@')
}

/** The same for each word of a sentence or of a command line. */
export function redactWords(text: string): string {
  return text.replace(/\S+/g, redact)
}

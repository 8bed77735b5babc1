/** Passwords never reach a log, a message or a screen: what shows a URL shows it through here. */

/** What stands in a URL between `://` and the last `@`: a name, and behind the colon a password. */
const CREDENTIALS = /(:\/\/(?:\$\{[^}]*\}|[^\s/:@$])*):(.*)@/g
/** A password that is only a reference to where it is kept, see `config/secrets.ts`. */
const ONLY_REFERENCES = /^(\$\{[^}]*\})+$/

/** The text with `***` in the place of passwords in URLs. */
export function withoutPasswords(text: string): string {
  return text.replace(CREDENTIALS, (whole, before: string, password: string) =>
    ONLY_REFERENCES.test(password) ? whole : `${before}:***@`,
  )
}

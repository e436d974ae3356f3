/**
 * Everything a caller may have to tell apart. Codes are stable: they appear in logs, in `--json` output and on the wire
 * (a reset or a refusal carries one by name).
 */
export type ErrorCode =
  | 'usage'
  | 'bad-config'
  | 'identity-unreadable'
  | 'agent-not-running'
  | 'peer-unknown'
  | 'peer-offline'
  | 'peer-refused'
  | 'peer-unreachable'
  | 'peer-impersonated'
  | 'not-authorized'
  | 'service-unknown'
  | 'service-unavailable'
  | 'stream-reset'
  | 'session-closed'
  | 'version-unsupported'
  | 'wire-malformed'
  | 'relay-unreachable'
  | 'relay-refused'
  | 'relay-impersonated'
  | 'busy'
  | 'over-quota'
  | 'timed-out'
  | 'aborted'
  | 'port-in-use'
  | 'port-mapping-refused'
  | 'invite-refused'
  | 'update-refused'
  | 'update-rolled-back'
  | 'io'
  | 'internal'

/** The only error class we throw. `message` says what was tried, with what, and what would mend it. */
export class CulvertError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'CulvertError'
    this.code = code
  }
}

/** Wraps whatever was thrown, so that a handler can rely on a code; a CulvertError passes unchanged. */
export function asCulvertError(thrown: unknown, code: ErrorCode, message: string): CulvertError {
  return thrown instanceof CulvertError
    ? thrown
    : new CulvertError(code, `${message}: ${reasonOf(thrown)}`, { cause: thrown })
}

/** What it means that a connection cannot be made, for who has never read a manual page of connect. */
const CONNECT_WORDS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing takes connections there'],
  ['ENETUNREACH', 'no route to it from here'],
  ['EHOSTUNREACH', 'no machine answers at that address'],
  ['ETIMEDOUT', 'no answer came'],
  ['EADDRNOTAVAIL', 'no address here that it could be called from'],
])

/** One line about anything that was thrown: system errors by their code and address, the rest by message. */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return reasonOf(thrown.errors[0])
  // The message of OpenSSL is a line of numbers and source files, with the reason among them.
  if (thrown instanceof Error && 'library' in thrown && 'reason' in thrown && thrown.reason)
    return String(thrown.reason)
  if (thrown instanceof Error && 'syscall' in thrown && thrown.syscall === 'connect') {
    const code = systemCodeOf(thrown) ?? ''
    const words = CONNECT_WORDS.get(code)
    // The code and the address stay, for who searches for them.
    if (words !== undefined) return `${words} (${thrown.message.replace(/^connect /, '').replace(/ - Local .*$/, '')})`
  }
  if (thrown instanceof Error) return thrown.message || thrown.name
  return String(thrown)
}

/** The system's error code (`ECONNREFUSED`, ...) of a thrown value, if it has one. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}

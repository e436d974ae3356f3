import type { ErrorCode } from '../../common/errors.ts'

/** Codes that a peer may give as the reason of a reset. */
const REMOTE_CODES: ReadonlySet<string> = new Set<ErrorCode>([
  'not-authorized',
  'service-unknown',
  'service-unavailable',
  'stream-reset',
  'session-closed',
  'busy',
  'over-quota',
  'timed-out',
  'aborted',
])

/** The peer's reason as one of ours; anything else from the wire is a plain reset. */
export function remoteCode(code: string): ErrorCode {
  return REMOTE_CODES.has(code) ? (code as ErrorCode) : 'stream-reset'
}

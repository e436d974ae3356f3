import { CulvertError, type ErrorCode } from '../../common/errors.ts'

/** The HTTP status of each error. Programs read the code in the body; the status is for people with curl. */
const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  usage: 400,
  'bad-config': 400,
  'identity-unreadable': 500,
  'agent-not-running': 503,
  'peer-unknown': 404,
  'peer-offline': 503,
  'peer-refused': 403,
  'peer-unreachable': 504,
  'peer-impersonated': 502,
  'not-authorized': 403,
  'service-unknown': 404,
  'service-unavailable': 502,
  'stream-reset': 502,
  'session-closed': 502,
  'version-unsupported': 502,
  'wire-malformed': 502,
  'relay-unreachable': 504,
  'relay-refused': 502,
  'relay-impersonated': 502,
  busy: 503,
  'over-quota': 429,
  'timed-out': 504,
  aborted: 503,
  'port-in-use': 409,
  'port-mapping-refused': 502,
  'invite-refused': 403,
  'update-refused': 500,
  'update-rolled-back': 500,
  io: 500,
  internal: 500,
}

export function httpStatusOf(code: ErrorCode): number {
  return HTTP_STATUS[code]
}

/** `{ "error": { "code", "message" } }`, as the control socket and `--json` give it. */
export function errorBody(error: CulvertError): {
  readonly error: { readonly code: ErrorCode; readonly message: string }
} {
  return { error: { code: error.code, message: error.message } }
}

/** The error in a parsed body; one that an agent of another version wrote and that we do not know is `internal`. */
export function errorFromBody(body: unknown): CulvertError {
  const error = typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) {
    return new CulvertError('internal', 'the agent gave an answer that this version does not understand')
  }
  const message = typeof error.message === 'string' ? error.message : 'the agent gave no reason'
  return new CulvertError(isErrorCode(error.code) ? error.code : 'internal', message)
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(HTTP_STATUS, code)
}

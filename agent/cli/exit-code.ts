import type { ErrorCode } from '../../common/errors.ts'

export const EXIT_DONE = 0
export const EXIT_FAILED = 1

const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  usage: 2,
  'bad-config': 2,
  'peer-unknown': 3,
  'peer-offline': 3,
  'peer-unreachable': 3,
  'not-authorized': 4,
  'peer-refused': 4,
  'invite-refused': 4,
  'agent-not-running': 5,
  'identity-unreadable': 1,
  'peer-impersonated': 1,
  'service-unknown': 1,
  'service-unavailable': 1,
  'stream-reset': 1,
  'session-closed': 1,
  'version-unsupported': 1,
  'wire-malformed': 1,
  // Without a relay nobody can be reached; what failed was reaching the peer.
  'relay-unreachable': 3,
  'relay-refused': 1,
  'relay-impersonated': 1,
  busy: 1,
  'over-quota': 1,
  'timed-out': 3,
  aborted: 1,
  'port-in-use': 1,
  'port-mapping-refused': 1,
  'update-refused': 1,
  'update-rolled-back': 1,
  io: 1,
  internal: 1,
}

/** 1 failed, 2 usage or config, 3 peer unreachable or offline, 4 not allowed, 5 no agent running. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT_CODES[code]
}

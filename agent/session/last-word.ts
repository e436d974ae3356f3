import type { ErrorCode } from '../../common/errors.ts'

/** Whether, after a call that failed so, whoever waits for the peer is better told at once than by the clock. */
export function isLastWord(
  code: ErrorCode,
  relays: { readonly connecting: boolean; readonly gathering: boolean },
): boolean {
  switch (code) {
    // Many calls at once, as after an outage, pass.
    case 'busy':
    // The relay took the call: the peer may be about to find out that its own line is dead.
    case 'timed-out':
      return false
    // Just after the start no relay is connected yet; that is no answer about the peer.
    case 'relay-unreachable':
      return !relays.connecting
    case 'peer-offline':
      return !relays.gathering
    default:
      return true
  }
}

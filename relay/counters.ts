import type { RefusalKind } from './admission.ts'

/** Why something was turned away; each is one label of `culvert_relay_refusals_total`. */
export type RefusalLabel =
  | RefusalKind
  | 'hello-late'
  | 'line-slow'
  | 'connections'
  | 'connections-per-address'
  | 'call-offline'
  | 'call-refused'
  | 'call-busy'
  | 'call-over-quota'
  | 'ticket-unknown'
  | 'ticket-rate'
  | 'ticket-expired'
  | 'pipe-over-quota'
  | 'stun-rate'
  | 'stun-connections'
  | 'stun-malformed'
  | 'reach-address'
  | 'reach-rate'
  | 'statement-malformed'
  | 'statement-rate'
  | 'statement-unproven'

/** What has happened since the start. Plain numbers: they are added to on hot paths. */
export class Counters {
  handshakes = 0
  replaced = 0
  clones = 0
  calls = 0
  pipesJoined = 0
  stunAnswers = 0
  reachChecks = 0
  statements = 0
  readonly refusals = new Map<RefusalLabel, number>()

  refuse(label: RefusalLabel): void {
    this.refusals.set(label, (this.refusals.get(label) ?? 0) + 1)
  }
}

import type { SessionEvents } from '../../agent/session/session-events.ts'

const nothing = () => undefined

/** Events of a session whose owner cares for nothing but what a test puts in their place; streams are refused. */
export const QUIET: SessionEvents = {
  onStream: stream => stream.reset('service-unknown', 'nothing is served here'),
  onCandidates: nothing,
  onSituation: nothing,
  onRecord: nothing,
  onProbeSecret: nothing,
  onIce: nothing,
  onPunch: nothing,
  onPaths: nothing,
  onBacklog: nothing,
  onBusy: nothing,
  onRestart: nothing,
  onClone: nothing,
  onBye: nothing,
}

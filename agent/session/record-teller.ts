import type { PeerId } from '../../common/wire/peer-id.ts'
import type { PeerContext } from './peer-context.ts'
import type { Session } from './session.ts'

/** Tells the peer of one session where we are: once, and whenever that changes. */
export class RecordTeller {
  readonly #peer: PeerId
  readonly #session: Session
  readonly #records: PeerContext['records']
  #told: Uint8Array | undefined

  constructor(peer: PeerId, session: Session, records: PeerContext['records']) {
    this.#peer = peer
    this.#session = session
    this.#records = records
  }

  /** There is a path, or a new record. */
  tell(): void {
    if (!this.#session.active) return
    const own = this.#records?.own(this.#peer)
    if (!own || own === this.#told) return
    this.#told = own
    this.#session.signals.record(own)
  }
}

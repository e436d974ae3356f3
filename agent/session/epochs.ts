import type { Random } from '../../common/platform/random.ts'
import { sameBytes } from '../../common/wire/bytes.ts'
import { EPOCH_BYTES, type Hello, type HelloHow, SESSION_VERSION } from '../../common/wire/session-frame.ts'

/** The epochs of a session's two sides: whoever has another one than before has lost all that was under way. */
export class Epochs {
  readonly #own: Uint8Array
  #theirs: Uint8Array = new Uint8Array(EPOCH_BYTES)

  constructor(random: Random) {
    this.#own = random.bytes(EPOCH_BYTES)
  }

  /** What we say first on a path; `how` is for the side that made it. */
  hello(received: number, how: HelloHow | undefined): Hello {
    return {
      minVersion: SESSION_VERSION,
      maxVersion: SESSION_VERSION,
      features: 0,
      epoch: this.#own,
      peerEpoch: this.#theirs,
      received,
      how,
    }
  }

  /** What the peer's epoch is to us. */
  judge({ epoch }: Hello): 'same' | 'first' | 'another' {
    if (sameBytes(epoch, this.#theirs)) return 'same'
    return this.#theirs.every(byte => byte === 0) ? 'first' : 'another'
  }

  take({ epoch }: Hello): void {
    this.#theirs = epoch
  }

  /** A peer that greets another epoch of ours, or none, has nothing of what we sent. */
  isKnownTo({ peerEpoch }: Hello): boolean {
    return sameBytes(peerEpoch, this.#own)
  }
}

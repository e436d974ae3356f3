import { timingSafeEqual } from 'node:crypto'
import type { Random } from '../../common/platform/random.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { REACH_NONCE_BYTES, REACH_PROBE_BYTES, reachAnswer, reachProbe } from '../../common/wire/reach.ts'

export type Transport = 'tcp' | 'udp'

/** A probe that we asked for and that has not come yet. */
export interface ExpectedProbe extends Disposable {
  readonly nonce: Uint8Array
  /** It came in at our port. */
  readonly seen: boolean
}

/** Ours: one per port, and again when the network changes meanwhile. */
const MAX_EXPECTED = 8

interface Entry {
  readonly transport: Transport
  readonly probe: Uint8Array
  readonly answer: Uint8Array
  seen: boolean
}

/** Knows the probes that our ports may get from outside, each drawn for one look. Nobody else gets an answer. */
export class ReachBook {
  readonly #ownId: PeerId
  readonly #random: Random
  readonly #expected = new Set<Entry>()

  constructor(ownId: PeerId, random: Random) {
    this.#ownId = ownId
    this.#random = random
  }

  expect(transport: Transport): ExpectedProbe {
    const nonce = this.#random.bytes(REACH_NONCE_BYTES)
    const [probe, answer] = [reachProbe(this.#ownId, nonce), reachAnswer(this.#ownId, nonce)]
    const entry: Entry = { transport, probe, answer, seen: false }
    const [oldest] = this.#expected
    if (oldest && this.#expected.size >= MAX_EXPECTED) this.#expected.delete(oldest)
    this.#expected.add(entry)
    return {
      nonce,
      get seen() {
        return entry.seen
      },
      [Symbol.dispose]: () => this.#expected.delete(entry),
    }
  }

  /** The answer to a probe that we wait for; undefined for everything else. */
  answerTo(transport: Transport, bytes: Uint8Array): Uint8Array | undefined {
    if (bytes.length !== REACH_PROBE_BYTES) return undefined
    for (const entry of this.#expected) {
      if (entry.transport !== transport || !timingSafeEqual(entry.probe, bytes)) continue
      entry.seen = true
      return entry.answer
    }
    return undefined
  }
}

import { createHash } from 'node:crypto'
import { verifyBytes } from '../common/platform/ed25519.ts'
import { type Chain, type Entry, encodeEntry, entryStatement } from '../common/wire/membership.ts'

/** Each is some 150 bytes here; agents that all come back cost no signature of a network then. */
const MAX_KNOWN = 16_384

/** Whether the signatures of a chain hold; entries whose did are remembered, since agents bring the same ones each time. */
export class ProvenChains {
  readonly #known = new Set<string>()

  /** In handshakes: one is a signature that is looked at, and one that is made. */
  cost(chain: Chain): number {
    return entriesOf(chain).every(entry => this.#known.has(keyOf(entry))) ? 0 : 1
  }

  /** The admin's is looked at first: who makes a network up has no signature of its root. */
  prove(chain: Chain): boolean {
    return entriesOf(chain).every(entry => this.#proveEntry(entry))
  }

  #proveEntry(entry: Entry): boolean {
    const key = keyOf(entry)
    if (this.#known.has(key)) return true
    if (!verifyBytes(entry.signer, entryStatement(entry), entry.signature)) return false
    this.#known.add(key)
    if (this.#known.size > MAX_KNOWN) {
      const [oldest] = this.#known
      if (oldest !== undefined) this.#known.delete(oldest)
    }
    return true
  }
}

function entriesOf({ entry, signer }: Chain): readonly Entry[] {
  return signer ? [signer, entry] : [entry]
}

function keyOf(entry: Entry): string {
  return createHash('sha256').update(encodeEntry(entry)).digest('base64')
}

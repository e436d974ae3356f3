import { generateKeyPair, type KeyPair, signBytes } from '../../common/platform/ed25519.ts'
import {
  type Chain,
  type Entry,
  type EntryBody,
  encodeChain,
  entryStatement,
  NO_DETAILS,
} from '../../common/wire/membership.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** A network whose entries a test signs as it likes. */
export class TestNetwork {
  readonly root: KeyPair = generateKeyPair()

  get id(): PeerId {
    return this.root.id
  }

  byRoot(peer: PeerId, says: Partial<EntryBody> = {}): Chain {
    return { entry: this.#sign(this.root, peer, says), signer: undefined }
  }

  /** The chain of an admin. */
  admin(peer: PeerId, version = 1): Chain {
    return this.byRoot(peer, { version, admin: true, grant: version })
  }

  /** What an admin signs, who was made one by `proof`. */
  byAdmin(admin: KeyPair, proof: Chain, peer: PeerId, says: Partial<EntryBody> = {}): Chain {
    return { entry: this.#sign(admin, peer, { grant: proof.entry.grant, ...says }), signer: proof.entry }
  }

  removal(peer: PeerId, version = 2): Chain {
    return this.byRoot(peer, { version, removed: true })
  }

  #sign(signer: KeyPair, peer: PeerId, says: Partial<EntryBody>): Entry {
    const body: EntryBody = {
      network: this.id,
      peer,
      version: 1,
      grant: 0,
      issuedAt: 1_795_600_000,
      notAfter: 0,
      removed: false,
      admin: false,
      details: says.removed === true ? NO_DETAILS : new Uint8Array(32).fill(7),
      signer: signer.id,
      ...says,
    }
    return { ...body, signature: signBytes(signer, entryStatement(body)) }
  }
}

export const bytesOf = (chain: Chain): Uint8Array => Uint8Array.from(encodeChain(chain))

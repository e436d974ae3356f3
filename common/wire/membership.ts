import { CulvertError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { DETAILS_HASH_BYTES } from './member-details.ts'
import { PEER_ID_BYTES, type PeerId, peerIdFromBytes, peerIdToBytes } from './peer-id.ts'

const LABEL = 'culvert/1 member'
const SIGNATURE_BYTES = 64
/** Network, peer, four counts, flags, hash, signer. */
const BODY_BYTES = 2 * PEER_ID_BYTES + 4 * 8 + 1 + DETAILS_HASH_BYTES + PEER_ID_BYTES
export const ENTRY_BYTES = BODY_BYTES + SIGNATURE_BYTES
export const MAX_CHAIN_BYTES = 2 * ENTRY_BYTES

/** The last second of the year 9999: what is later is no time, and cannot be shown as one. */
export const LAST_SECOND = 253_402_300_799

const REMOVED = 1
const ADMIN = 2
/** In the entry of who is removed: nothing is left to tell of him. */
export const NO_DETAILS: Uint8Array = new Uint8Array(DETAILS_HASH_BYTES)

/** What one signature says about one peer of a network. */
export interface EntryBody {
  /** The public half of the network's root key, which is its name. */
  readonly network: PeerId
  readonly peer: PeerId
  /** Of two entries of one peer the higher one holds. */
  readonly version: number
  /**
   * With `admin`: the version in which the root made him one, kept by later entries of his. In what an admin signs: the
   * same number, so that what he signed ends with the right to sign. Else 0.
   */
  readonly grant: number
  /** When it was signed, by the signer's clock; s since 1970. It orders nothing. */
  readonly issuedAt: number
  /** The last second of membership; s since 1970, 0 for no end. */
  readonly notAfter: number
  readonly removed: boolean
  /** May sign entries of others. Only the root can give that. */
  readonly admin: boolean
  /** SHA-256 of the encoded details, so that who sees the entry alone learns neither name nor roles. */
  readonly details: Uint8Array
  /** The root, or an admin. */
  readonly signer: PeerId
}

export interface Entry extends EntryBody {
  readonly signature: Uint8Array
}

/** An entry with what proves it to who knows nothing but the network's name: the entry of its signer, unless that is the root. */
export interface Chain {
  readonly entry: Entry
  readonly signer: Entry | undefined
}

/** The bytes that the signer signs. */
export function entryStatement(body: EntryBody): Uint8Array {
  return new ByteWriter(1 + LABEL.length + BODY_BYTES)
    .u8(LABEL.length)
    .bytes(Buffer.from(LABEL, 'latin1'))
    .bytes(bodyBytes(body))
    .finish()
}

export function encodeEntry(entry: Entry): Buffer {
  return new ByteWriter(ENTRY_BYTES).bytes(bodyBytes(entry)).bytes(entry.signature).finish()
}

/** Reads one entry, and refuses what no signer may say. Whether the signature holds is not looked at. */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length !== ENTRY_BYTES) {
    throw new CulvertError('wire-malformed', `a member's entry has ${ENTRY_BYTES} bytes, not ${bytes.length}`)
  }
  const entry = readEntry(new ByteReader(bytes))
  const fault = entryFault(entry)
  if (fault !== undefined) throw new CulvertError('wire-malformed', `a member's entry ${fault}`)
  return entry
}

export function encodeChain({ entry, signer }: Chain): Buffer {
  return Buffer.concat([encodeEntry(entry), ...(signer ? [encodeEntry(signer)] : [])])
}

/** Reads an entry and, when an admin signed it, the admin's own. The signatures are not looked at. */
export function decodeChain(bytes: Uint8Array): Chain {
  const entry = decodeEntry(bytes.subarray(0, ENTRY_BYTES))
  const rest = bytes.subarray(ENTRY_BYTES)
  if (isByRoot(entry)) {
    if (rest.length > 0) throw new CulvertError('wire-malformed', 'an entry by the root needs no other')
    return { entry, signer: undefined }
  }
  const signer = decodeEntry(rest)
  if (!mayHaveSigned(signer, entry)) throw new CulvertError('wire-malformed', 'an entry is not by the one beside it')
  return { entry, signer }
}

export function isByRoot({ signer, network }: EntryBody): boolean {
  return signer === network
}

/** True when `admin`, which the root signed, gives the right to sign `entry`; both signatures have to hold, too. */
export function mayHaveSigned(admin: EntryBody, entry: EntryBody): boolean {
  const known = admin.network === entry.network && isByRoot(admin) && admin.admin
  return known && admin.peer === entry.signer && admin.grant === entry.grant
}

/** What is wrong with what an entry says, be its signature ever so good. */
export function entryFault(entry: EntryBody): string | undefined {
  const { network, peer, version, grant, removed, admin, issuedAt, notAfter, signer } = entry
  if (version < 1) return 'has no version'
  if (issuedAt > LAST_SECOND || notAfter > LAST_SECOND) return 'has a time after the year 9999'
  if (peer === network) return 'is about the root'
  if (signer === peer) return 'is signed by its own peer'
  if (removed && (admin || notAfter > 0 || !isZero(entry.details))) return 'says more of a removed peer'
  if (isByRoot(entry)) {
    const sound = admin ? grant >= 1 && grant <= version : grant === 0
    // What an admin signs outlives a day, and the day on which he signed it is what he says it was.
    if (admin && notAfter > 0) return 'makes an admin for a time'
    return sound ? undefined : `has the grant ${grant}`
  }
  if (admin) return 'makes an admin, and is not by the root'
  return grant >= 1 ? undefined : 'is by nobody who was given the right'
}

function bodyBytes(body: EntryBody): Buffer {
  return new ByteWriter(BODY_BYTES)
    .bytes(peerIdToBytes(body.network))
    .bytes(peerIdToBytes(body.peer))
    .u64(body.version)
    .u64(body.grant)
    .u64(body.issuedAt)
    .u64(body.notAfter)
    .u8((body.removed ? REMOVED : 0) | (body.admin ? ADMIN : 0))
    .bytes(body.details)
    .bytes(peerIdToBytes(body.signer))
    .finish()
}

function readEntry(reader: ByteReader): Entry {
  const id = () => peerIdFromBytes(reader.bytes(PEER_ID_BYTES))
  const [network, peer] = [id(), id()]
  const [version, grant, issuedAt, notAfter] = [reader.u64(), reader.u64(), reader.u64(), reader.u64()]
  const flags = reader.u8()
  // All is signed: a bit of a later version that we pass over would be lost to who gets the entry from us.
  if (flags > REMOVED + ADMIN) throw new CulvertError('wire-malformed', `a member's entry has the flags ${flags}`)
  return {
    network,
    peer,
    version,
    grant,
    issuedAt,
    notAfter,
    removed: (flags & REMOVED) !== 0,
    admin: (flags & ADMIN) !== 0,
    details: reader.bytes(DETAILS_HASH_BYTES),
    signer: id(),
    signature: reader.bytes(SIGNATURE_BYTES),
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0)
}

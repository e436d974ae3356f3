import { CulvertError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { MAX_STATEMENT_BYTES } from './member-statement.ts'
import { isName } from './name.ts'
import { PEER_ID_BYTES, type PeerId, peerIdFromBytes, peerIdToBytes } from './peer-id.ts'

const VERSION = 1
const SIGNATURE_BYTES = 64
const MAX_NAME_BYTES = 63
export const NETWORK_SECRET_BYTES = 32
/** A member gets the rest as all members do. */
export const MAX_JOIN_STATEMENTS = 200
const MAX_WORDS_BYTES = 300
export const MAX_JOIN_REQUEST_BYTES = 1 + PEER_ID_BYTES + 2 + MAX_NAME_BYTES + SIGNATURE_BYTES
export const MAX_JOIN_ANSWER_BYTES = 2 + NETWORK_SECRET_BYTES + 2 + MAX_JOIN_STATEMENTS * (2 + MAX_STATEMENT_BYTES)

/** What a guest asks: that this device becomes a member, which signs with its own key that it wants to. */
export interface JoinRequest {
  readonly peer: PeerId
  /** What it would like to be called. */
  readonly name: string
  readonly signature: Uint8Array
}

/** Why a guest is turned away: for good, or (`later`) for now. */
export const JOIN_REFUSALS = ['used', 'expired', 'not-admin', 'removed', 'proof', 'later'] as const
export type JoinRefusal = (typeof JOIN_REFUSALS)[number]

export type JoinAnswer =
  | {
      readonly admitted: true
      readonly secret: Uint8Array
      /** The own entry, and others that are known; each as members exchange them. */
      readonly statements: readonly Uint8Array[]
    }
  | { readonly admitted: false; readonly refusal: JoinRefusal; readonly words: string }

/** What the joining device signs: `exporter` binds it to this one connection, to nobody else's. */
export function joinProof(of: {
  readonly network: PeerId
  readonly inviter: PeerId
  readonly guest: PeerId
  readonly peer: PeerId
  readonly exporter: Uint8Array
}): Uint8Array {
  const label = 'culvert/1 join'
  return new ByteWriter(1 + label.length + 4 * PEER_ID_BYTES + of.exporter.length)
    .u8(label.length)
    .bytes(Buffer.from(label, 'latin1'))
    .bytes(peerIdToBytes(of.network))
    .bytes(peerIdToBytes(of.inviter))
    .bytes(peerIdToBytes(of.guest))
    .bytes(peerIdToBytes(of.peer))
    .bytes(of.exporter)
    .finish()
}

/** Layout: version u8, peer (32), name text(63), signature (64). */
export function encodeJoinRequest({ peer, name, signature }: JoinRequest): Buffer {
  return new ByteWriter(MAX_JOIN_REQUEST_BYTES)
    .u8(VERSION)
    .bytes(peerIdToBytes(peer))
    .text(name)
    .bytes(signature)
    .finish()
}

export function decodeJoinRequest(bytes: Uint8Array): JoinRequest {
  const reader = new ByteReader(bytes)
  readVersion(reader)
  const peer = peerIdFromBytes(reader.bytes(PEER_ID_BYTES))
  const name = reader.text(MAX_NAME_BYTES)
  if (!isName(name)) throw new CulvertError('wire-malformed', 'a name that is none')
  return { peer, name, signature: reader.bytes(SIGNATURE_BYTES) }
}

/**
 * Layout: version u8, outcome u8. 0, admitted: network secret (32), u16 count of statements, each with a u16 length before
 * it. Else the refusal: text(300), for people.
 */
export function encodeJoinAnswer(answer: JoinAnswer): Buffer {
  if (!answer.admitted) {
    const outcome = 1 + JOIN_REFUSALS.indexOf(answer.refusal)
    return new ByteWriter(4 + MAX_WORDS_BYTES).u8(VERSION).u8(outcome).text(answer.words).finish()
  }
  const statements = answer.statements.slice(0, MAX_JOIN_STATEMENTS)
  const bytes = statements.reduce((sum, { length }) => sum + 2 + length, 0)
  const writer = new ByteWriter(4 + NETWORK_SECRET_BYTES + bytes).u8(VERSION).u8(0)
  writer.bytes(answer.secret).u16(statements.length)
  for (const statement of statements) writer.u16(statement.length).bytes(statement)
  return writer.finish()
}

export function decodeJoinAnswer(bytes: Uint8Array): JoinAnswer {
  const reader = new ByteReader(bytes)
  readVersion(reader)
  const outcome = reader.u8()
  if (outcome > 0) {
    // One of a later version turns us away for now.
    return { admitted: false, refusal: JOIN_REFUSALS[outcome - 1] ?? 'later', words: reader.text(MAX_WORDS_BYTES) }
  }
  const secret = reader.bytes(NETWORK_SECRET_BYTES)
  const count = reader.u16()
  if (count > MAX_JOIN_STATEMENTS) throw new CulvertError('wire-malformed', `${count} statements`)
  const statements = Array.from({ length: count }, () => {
    const length = reader.u16()
    if (length > MAX_STATEMENT_BYTES) throw new CulvertError('wire-malformed', `a statement of ${length} bytes`)
    return reader.bytes(length)
  })
  return { admitted: true, secret, statements }
}

function readVersion(reader: ByteReader): void {
  const version = reader.u8()
  if (version !== VERSION) throw new CulvertError('wire-malformed', `a join of version ${version}`)
}

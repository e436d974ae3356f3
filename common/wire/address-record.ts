import { CulvertError } from '../errors.ts'
import { addressToBytes } from './address-bytes.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { type Candidate, encodeCandidates, MAX_CANDIDATES, readCandidates } from './candidate.ts'
import { familyOf, MAX_ENDPOINT_BYTES, readAddress } from './endpoint-bytes.ts'
import { PEER_ID_BYTES, type PeerId, peerIdFromBytes, peerIdToBytes } from './peer-id.ts'

/** A relay that somebody can be called through. */
export interface HomeRelay {
  /** `http` or `https`, without user, path or query. */
  readonly url: string
  readonly id: PeerId | undefined
  /** Where its name led when it was reached last: DNS may be away when it is needed. */
  readonly address: string | undefined
}

/** Where a peer may be found, in its own words: what others remember and tell each other. */
export interface AddressRecord {
  readonly peer: PeerId
  /** Higher in each record than in the one before; ms since 1970 where the peer knows the time. */
  readonly sequence: number
  /** Short names of the networks that it is in: whoever is in one of them may dial its private addresses. */
  readonly places: readonly number[]
  readonly relays: readonly HomeRelay[]
  readonly candidates: readonly Candidate[]
  /** It carries bytes between peers that cannot reach each other. */
  readonly carries?: boolean
}

export const MAX_PLACES = 4
export const MAX_HOME_RELAYS = 4
const MAX_URL_BYTES = 200
const RELAY_BYTES = 2 + MAX_URL_BYTES + 1 + PEER_ID_BYTES + 1 + 16
const CANDIDATES_BYTES = 1 + MAX_CANDIDATES * (2 + MAX_ENDPOINT_BYTES)
/** What a newer version may add to it has room. */
export const MAX_ADDRESS_RECORD_BYTES = 2_048

const LABEL = Buffer.from('culvert/1 address record')
const SIGNATURE_BYTES = 64
/** Bit of the flags. */
const CARRIES = 1

/**
 * What its peer signs (behind a label). Layout: peer (32), sequence u64, count u8 and places u16 each, count u8 and relays,
 * candidates as in a session; then, unless it is 0, a u8 of flags; the signature (64) stands at the end. A relay: text(200) URL, u8 1 and its id (32) or u8 0,
 * family u8 (0, 4 or 6) and address.
 */
export function addressRecordBody(record: AddressRecord): Buffer {
  const places = record.places.slice(0, MAX_PLACES)
  const relays = record.relays.filter(({ url }) => isRelayUrl(url)).slice(0, MAX_HOME_RELAYS)
  const size = PEER_ID_BYTES + 8 + 1 + 2 * MAX_PLACES + 1 + MAX_HOME_RELAYS * RELAY_BYTES + CANDIDATES_BYTES + 1
  const writer = new ByteWriter(size).bytes(peerIdToBytes(record.peer)).u64(record.sequence).u8(places.length)
  for (const place of places) writer.u16(place)
  writer.u8(relays.length)
  for (const { url, id, address } of relays) {
    writer.text(url).u8(id === undefined ? 0 : 1)
    if (id !== undefined) writer.bytes(peerIdToBytes(id))
    const bytes = address === undefined ? new Uint8Array(0) : addressToBytes(address)
    writer.u8(address === undefined ? 0 : familyOf(bytes)).bytes(bytes)
  }
  writer.bytes(encodeCandidates(record.candidates))
  if (record.carries) writer.u8(CARRIES)
  return writer.finish()
}

/** The bytes that are signed, for the body of a record. */
export function addressRecordStatement(body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(LABEL.length), LABEL, body])
}

/** A whole record in its two parts. */
export function partsOfAddressRecord(bytes: Uint8Array): { readonly body: Uint8Array; readonly signature: Uint8Array } {
  const end = bytes.length - SIGNATURE_BYTES
  return { body: bytes.subarray(0, end), signature: bytes.subarray(end) }
}

/** Reads a whole record. Its signature is not looked at; throws `wire-malformed`. */
export function readAddressRecord(bytes: Uint8Array): AddressRecord {
  if (bytes.length > MAX_ADDRESS_RECORD_BYTES || bytes.length < SIGNATURE_BYTES) {
    throw new CulvertError('wire-malformed', `an address record of ${bytes.length} bytes`)
  }
  const reader = new ByteReader(partsOfAddressRecord(bytes).body)
  const peer = peerIdFromBytes(reader.bytes(PEER_ID_BYTES))
  const sequence = reader.u64()
  const places = Array.from({ length: counted(reader, MAX_PLACES, 'places') }, () => reader.u16())
  const relays = Array.from({ length: counted(reader, MAX_HOME_RELAYS, 'relays') }, () => readRelay(reader))
  const candidates = readCandidates(reader)
  const carries = reader.left > 0 && (reader.u8() & CARRIES) !== 0
  return {
    peer,
    sequence,
    places,
    relays: relays.filter(({ url }) => isRelayUrl(url)),
    candidates,
    ...(carries ? { carries } : {}),
  }
}

/** One that can be told, and dialled. */
export function isRelayUrl(text: string): boolean {
  if (text.length > MAX_URL_BYTES || !URL.canParse(text)) return false
  const { protocol, hostname, port, origin, username } = new URL(text)
  return (
    (protocol === 'http:' || protocol === 'https:') &&
    hostname !== '' &&
    port !== '0' &&
    username === '' &&
    text === origin
  )
}

function counted(reader: ByteReader, most: number, what: string): number {
  const count = reader.u8()
  if (count > most) throw new CulvertError('wire-malformed', `${count} ${what} in an address record; at most ${most}`)
  return count
}

function readRelay(reader: ByteReader): HomeRelay {
  const url = reader.text(MAX_URL_BYTES)
  const flag = reader.u8()
  if (flag > 1) throw new CulvertError('wire-malformed', `a relay with flag ${flag}`)
  const id = flag === 1 ? peerIdFromBytes(reader.bytes(PEER_ID_BYTES)) : undefined
  const family = reader.u8()
  return { url, id, address: family === 0 ? undefined : readAddress(reader, family) }
}

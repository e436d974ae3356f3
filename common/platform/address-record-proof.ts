import { CulvertError } from '../errors.ts'
import {
  type AddressRecord,
  addressRecordBody,
  addressRecordStatement,
  partsOfAddressRecord,
  readAddressRecord,
} from '../wire/address-record.ts'
import type { PeerId } from '../wire/peer-id.ts'
import { type KeyPair, publicKeyOf, signBytes, verifyBytes, verifySoon } from './ed25519.ts'

/** A whole record of the key's own peer. */
export function signAddressRecord(record: Omit<AddressRecord, 'peer'>, key: KeyPair): Uint8Array {
  const body = addressRecordBody({ ...record, peer: key.id })
  return new Uint8Array(Buffer.concat([body, signBytes(key, addressRecordStatement(body))]))
}

/** Throws `wire-malformed` for what is none, or not signed by the peer that it is about. */
export function openAddressRecord(bytes: Uint8Array): AddressRecord {
  const record = readAddressRecord(bytes)
  const { body, signature } = partsOfAddressRecord(bytes)
  if (verifyBytes(record.peer, addressRecordStatement(body), signature)) return record
  throw notSigned()
}

/** As `openAddressRecord`, with the signature looked at on another thread. */
export async function openAddressRecordSoon(bytes: Uint8Array): Promise<AddressRecord> {
  const record = readAddressRecord(bytes)
  const { body, signature } = partsOfAddressRecord(bytes)
  if (await verifySoon(keyOf(record.peer), addressRecordStatement(body), signature)) return record
  throw notSigned()
}

/** Not every 32 bytes are a key. */
function keyOf(peer: PeerId): ReturnType<typeof publicKeyOf> {
  try {
    return publicKeyOf(peer)
  } catch {
    throw notSigned()
  }
}

function notSigned(): CulvertError {
  return new CulvertError('wire-malformed', 'an address record is not signed by its peer')
}

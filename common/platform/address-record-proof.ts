import { CulvertError } from '../errors.ts'
import {
  type AddressRecord,
  addressRecordBody,
  addressRecordStatement,
  partsOfAddressRecord,
  readAddressRecord,
} from '../wire/address-record.ts'
import { type KeyPair, signBytes, verifyBytes } from './ed25519.ts'

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
  throw new CulvertError('wire-malformed', 'an address record is not signed by its peer')
}

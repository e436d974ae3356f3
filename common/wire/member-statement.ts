import { CulvertError } from '../errors.ts'
import { decodeDetails, encodeDetails, isHashOf, MAX_DETAILS_BYTES, type MemberDetails } from './member-details.ts'
import { decodeEntry, ENTRY_BYTES, type Entry, encodeEntry } from './membership.ts'

export const MAX_STATEMENT_BYTES = ENTRY_BYTES + MAX_DETAILS_BYTES

/** An entry as members exchange and keep it: with its details, unless it removes. */
export interface Statement {
  readonly entry: Entry
  readonly details: MemberDetails | undefined
}

export function encodeStatement({ entry, details }: Statement): Buffer {
  return Buffer.concat([encodeEntry(entry), ...(details ? [encodeDetails(details)] : [])])
}

/** Reads an entry and the details that it names; others, or none, are malformed. Signatures are not looked at. */
export function decodeStatement(bytes: Uint8Array): Statement {
  const entry = decodeEntry(bytes.subarray(0, ENTRY_BYTES))
  const rest = bytes.subarray(ENTRY_BYTES)
  if (entry.removed) {
    if (rest.length > 0) throw new CulvertError('wire-malformed', 'details of a removed peer')
    return { entry, details: undefined }
  }
  const details = decodeDetails(rest)
  if (!isHashOf(entry.details, rest)) throw new CulvertError('wire-malformed', 'details that the entry does not name')
  return { entry, details }
}

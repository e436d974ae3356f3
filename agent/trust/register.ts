import { createHash } from 'node:crypto'
import { encodeStatement, type Statement } from '../../common/wire/member-statement.ts'
import type { Entry } from '../../common/wire/membership.ts'

/** What kind of thing an entry says; of each kind and signer the roster keeps the highest. */
export type EntryKind = 'removes' | 'makes admin' | 'makes member'

export function kindOf({ removed, admin }: Entry): EntryKind {
  if (removed) return 'removes'
  return admin ? 'makes admin' : 'makes member'
}

/** A statement that the roster keeps. */
export interface Kept extends Statement {
  /** Names the whole of its bytes: what two rosters have in common is found by it. */
  readonly id: string
}

/** Bytes of SHA-256 in an id, which is held as one character per byte. */
export const STATEMENT_ID_BYTES = 16

export function idOfStatement(encoded: Uint8Array): string {
  return createHash('sha256').update(encoded).digest().toString('latin1', 0, STATEMENT_ID_BYTES)
}

export function keep({ entry, details }: Statement): Kept {
  return { entry, details, id: idOfStatement(encodeStatement({ entry, details })) }
}

/** Above 0 when `a` is the higher one of the same register: by grant, version, then bytes, so that no two are equal. */
export function compareInRegister(a: Entry, b: Entry): number {
  return a.grant - b.grant || compareEntries(a, b)
}

/** Above 0 when `a` is the one that holds: by version, then bytes. Signatures are as good as the rest of the bytes. */
export function compareEntries(a: Entry, b: Entry): number {
  return a.version - b.version || Buffer.compare(a.signature, b.signature)
}

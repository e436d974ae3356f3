import { createHash } from 'node:crypto'
import { CulvertError } from '../errors.ts'
import { ByteReader, ByteWriter, sameBytes } from './bytes.ts'
import { isName } from './name.ts'

/** This role is a right, which only the root gives: it is a flag of the entry and stands not among the roles. */
export const ADMIN_ROLE = 'admin'

const SALT_BYTES = 16
export const DETAILS_HASH_BYTES = 32
export const MAX_ROLES = 16
/** Longest name and roles, each with the length before it. */
export const MAX_DETAILS_BYTES = SALT_BYTES + 1 + (1 + MAX_ROLES) * (2 + 63)

/** What members know of each other, and a relay does not. */
export interface MemberDetails {
  readonly name: string
  readonly roles: readonly string[]
  /** Random: without it, the hash in the entry would let names be guessed. */
  readonly salt: Uint8Array
}

/** `random` gives the salt. */
export function memberDetails(
  name: string,
  roles: readonly string[],
  random: { bytes(length: number): Uint8Array },
): MemberDetails {
  return { name, roles: [...new Set(roles)].toSorted(), salt: random.bytes(SALT_BYTES) }
}

/** Layout: salt (16), name text(63), u8 number of roles, each text(63). Throws `wire-malformed` for what `decode` would refuse. */
export function encodeDetails({ name, roles, salt }: MemberDetails): Buffer {
  refuseFaulty(name, roles)
  const writer = new ByteWriter(MAX_DETAILS_BYTES).bytes(salt).text(name).u8(roles.length)
  for (const role of roles) writer.text(role)
  return Buffer.from(writer.finish())
}

export function decodeDetails(bytes: Uint8Array): MemberDetails {
  if (bytes.length > MAX_DETAILS_BYTES) {
    throw new CulvertError('wire-malformed', `details of ${bytes.length} bytes; at most ${MAX_DETAILS_BYTES}`)
  }
  const reader = new ByteReader(bytes)
  const salt = reader.bytes(SALT_BYTES)
  const name = reader.text(63)
  const count = reader.u8()
  if (count > MAX_ROLES) throw new CulvertError('wire-malformed', `${count} roles; at most ${MAX_ROLES}`)
  const roles = Array.from({ length: count }, () => reader.text(63))
  if (reader.left > 0) throw new CulvertError('wire-malformed', `${reader.left} bytes after the details`)
  refuseFaulty(name, roles)
  return { name, roles, salt }
}

/** What stands in the entry for these encoded details. */
export function hashOfDetails(encoded: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(encoded).digest())
}

export function isHashOf(hash: Uint8Array, encoded: Uint8Array): boolean {
  return sameBytes(hash, hashOfDetails(encoded))
}

/** Names come into commands, logs and pages: nothing but a name may be one. Roles stand in order, each once. */
function refuseFaulty(name: string, roles: readonly string[]): void {
  if (!isName(name)) throw new CulvertError('wire-malformed', "a member's name is none")
  const ordered = roles.every((role, at) => isName(role) && (at === 0 || (roles[at - 1] ?? '') < role))
  if (!ordered || roles.length > MAX_ROLES || roles.includes(ADMIN_ROLE))
    throw new CulvertError('wire-malformed', "a member's roles are none")
}

import { type Chain, type Entry, type EntryBody, entryStatement, isByRoot, mayHaveSigned } from '../wire/membership.ts'
import type { PeerId } from '../wire/peer-id.ts'
import { type KeyPair, signBytes, verifyBytes } from './ed25519.ts'

/** Signs in the name of the key: the root's, or an admin's. */
export function signEntry(body: Omit<EntryBody, 'signer'>, key: KeyPair): Entry {
  const signed = { ...body, signer: key.id }
  return { ...signed, signature: signBytes(key, entryStatement(signed)) }
}

/** The signature is that of the named signer. Whether he has the right to sign is not looked at. */
export function isSigned(entry: Entry): boolean {
  return verifyBytes(entry.signer, entryStatement(entry), entry.signature)
}

/** True when the chain proves what its entry says to who knows nothing of the network but its name. */
export function isProven({ entry, signer }: Chain, network: PeerId): boolean {
  if (entry.network !== network) return false
  if (isByRoot(entry)) return signer === undefined && isSigned(entry)
  return signer !== undefined && mayHaveSigned(signer, entry) && isSigned(signer) && isSigned(entry)
}

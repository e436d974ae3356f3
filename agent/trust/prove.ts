import { publicKeyOf, verifySoon } from '../../common/platform/ed25519.ts'
import type { Statement } from '../../common/wire/member-statement.ts'
import { entryStatement } from '../../common/wire/membership.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { type Kept, keep } from './register.ts'
import { adminKey, type Refusal, type Roster } from './roster.ts'

/** Threads of Node's pool, which files and names use, too. */
const AT_ONCE = 4

export interface Proven {
  readonly statements: readonly Kept[]
  /** How many were not looked at further, for what they say; `forged`: the signature is not the signer's. */
  readonly refused: Readonly<Record<Refusal | 'forged', number>>
}

/**
 * The statements that are signed by whom they name, and that the roster would take; a signature is looked at only where
 * that changes anything. The roster may change meanwhile: it looks again when it merges.
 */
export async function prove(roster: Roster, statements: readonly Statement[]): Promise<Proven> {
  const refused = { known: 0, foreign: 0, unauthorized: 0, full: 0, forged: 0 }
  const all = statements.map(keep)
  const brought = new Set(all.filter(({ entry }) => entry.admin).map(({ entry }) => adminKey(entry.peer, entry.grant)))
  const wanted = all.filter(({ entry }) => {
    const refusal = roster.refuses(entry, brought)
    if (refusal !== undefined) refused[refusal]++
    return refusal === undefined
  })
  const keys = new Map<PeerId, ReturnType<typeof publicKeyOf> | undefined>()
  const good: Kept[] = []
  let next = 0
  const work = async () => {
    for (let at = next++; at < wanted.length; at = next++) {
      const statement = wanted[at]
      if (!statement) return
      const { entry } = statement
      if (!keys.has(entry.signer)) keys.set(entry.signer, keyOf(entry.signer))
      const key = keys.get(entry.signer)
      if (key && (await verifySoon(key, entryStatement(entry), entry.signature))) good.push(statement)
      else refused.forged++
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return { statements: good, refused }
}

/** Not every 32 bytes are a key. */
function keyOf(id: PeerId): ReturnType<typeof publicKeyOf> | undefined {
  try {
    return publicKeyOf(id)
  } catch {
    return undefined
  }
}

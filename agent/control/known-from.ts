import type { KnownAddress, SourceName } from '../rendezvous/address-source.ts'

/** Who says where a peer is, or that it is one. */
export interface KnownFrom {
  readonly source: 'config' | 'roster' | 'relay' | SourceName
  /** Since the source vouched for it; null where that is not known, or does not matter. */
  readonly ageS: number | null
}

/** What is known of one peer, and since when. */
export interface KnowledgeOf {
  readonly pinned: boolean
  readonly member: boolean
  /** A relay says that it is there. */
  readonly online: boolean
  readonly addresses: readonly Pick<KnownAddress, 'source' | 'ageMs'>[]
}

/** Addresses that nobody vouched for in so long may be anybody's by now. */
export const OLD_S = 7 * 24 * 3600

export function knownFrom({ pinned, member, online, addresses }: KnowledgeOf): readonly KnownFrom[] {
  const newest = new Map<SourceName, number | null>()
  for (const { source, ageMs } of addresses) {
    const ageS = ageMs === undefined ? null : Math.round(ageMs / 1000)
    const known = newest.get(source)
    if (known === undefined || known === null || (ageS !== null && ageS < known))
      newest.set(source, ageS ?? known ?? null)
  }
  return [
    ...(pinned ? [{ source: 'config', ageS: null } as const] : []),
    ...(member ? [{ source: 'roster', ageS: null } as const] : []),
    ...(online ? [{ source: 'relay', ageS: 0 } as const] : []),
    ...[...newest].map(([source, ageS]) => ({ source, ageS })),
  ]
}

/** How old the newest word on where it is, when all of them are old; undefined when one is not, or there is none. */
export function oldestHope(known: readonly KnownFrom[]): number | undefined {
  const places = known.filter(({ source }) => source !== 'config' && source !== 'roster')
  const ages = places.flatMap(({ ageS }) => (ageS === null ? [] : [ageS]))
  const newest = Math.min(...ages)
  return ages.length > 0 && newest >= OLD_S ? newest : undefined
}

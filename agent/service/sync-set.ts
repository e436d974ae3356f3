import { createHash } from 'node:crypto'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { BUCKET_DIGEST_BYTES, BUCKETS, SET_DIGEST_BYTES } from '../../common/wire/sync-message.ts'

/** One thing that members keep alike, as it goes from one to another. */
export interface SyncItem {
  /** The first 16 bytes of SHA-256 of what `encode` gives, one character for each. */
  readonly id: string
  encode(): Uint8Array
}

/** A set that all members of a network have alike: each tells others what they miss. */
export interface SyncSet {
  /** Names it on the wire. */
  readonly number: number
  /** Another value after each change. */
  readonly revision: unknown
  /** All of it, in an order in which nothing needs what comes later. */
  items(): Iterable<SyncItem>
  /** Takes over what is new and proves itself. Throws `wire-malformed` for what is no item. */
  take(items: readonly Uint8Array[], from: PeerId): Promise<void>
}

/**
 * What a set holds, in short: a digest of all, and one for each bucket, which the first byte of an id chooses. They are
 * hashes over the ids in order, so nobody can make two sets look alike.
 */
export class SetDigest {
  readonly all: Uint8Array
  /** All 256, one after the other. */
  readonly buckets: Uint8Array
  readonly #ids: readonly (readonly string[])[]

  constructor(items: Iterable<SyncItem>) {
    const ids: string[][] = Array.from({ length: BUCKETS }, () => [])
    for (const { id } of items) ids[bucketOf(id)]?.push(id)
    const buckets = new Uint8Array(BUCKETS * BUCKET_DIGEST_BYTES)
    for (const [bucket, own] of ids.entries()) {
      // An empty one stays zero.
      if (own.length > 0) buckets.set(digestOf(own.sort(), BUCKET_DIGEST_BYTES), bucket * BUCKET_DIGEST_BYTES)
    }
    this.#ids = ids
    this.buckets = buckets
    this.all = new Uint8Array(createHash('sha256').update(buckets).digest().subarray(0, SET_DIGEST_BYTES))
  }

  idsIn(bucket: number): readonly string[] {
    return this.#ids[bucket] ?? []
  }

  /** Buckets in which another set holds something else. */
  differing(theirs: Uint8Array): readonly number[] {
    const part = (of: Uint8Array, bucket: number) =>
      of.subarray(bucket * BUCKET_DIGEST_BYTES, (bucket + 1) * BUCKET_DIGEST_BYTES)
    return this.#ids.flatMap((_ids, bucket) =>
      Buffer.compare(part(this.buckets, bucket), part(theirs, bucket)) === 0 ? [] : [bucket],
    )
  }
}

const digests = new WeakMap<SyncSet, { readonly revision: unknown; readonly digest: SetDigest }>()

/** The digest of a set as it is now, made once for each revision. */
export function digestOfSet(set: SyncSet): SetDigest {
  const known = digests.get(set)
  if (known && known.revision === set.revision) return known.digest
  const made = { revision: set.revision, digest: new SetDigest(set.items()) }
  digests.set(set, made)
  return made.digest
}

export function bucketOf(id: string): number {
  return id.charCodeAt(0) & 0xff
}

function digestOf(ids: readonly string[], bytes: number): Uint8Array {
  return createHash('sha256').update(ids.join(''), 'latin1').digest().subarray(0, bytes)
}

/** How fast a bucket fills and how much it holds. */
export interface BucketLimits {
  readonly perSecond: number
  readonly burst: number
}

/** A token bucket (RFC 2697 in spirit) as a value. `tokens` may be negative: a debt that time pays off. */
export interface Bucket {
  readonly tokens: number
  readonly filledAt: number
}

export function fullBucket(limits: BucketLimits, now: number): Bucket {
  return { tokens: limits.burst, filledAt: now }
}

export function refill(bucket: Bucket, limits: BucketLimits, now: number): Bucket {
  const gained = (Math.max(0, now - bucket.filledAt) / 1000) * limits.perSecond
  return { tokens: Math.min(limits.burst, bucket.tokens + gained), filledAt: now }
}

/** Takes `cost` tokens if they are there; an empty bucket is only refilled. */
export function take(
  bucket: Bucket,
  limits: BucketLimits,
  cost: number,
  now: number,
): { readonly taken: boolean; readonly bucket: Bucket } {
  const filled = refill(bucket, limits, now)
  if (filled.tokens < cost) return { taken: false, bucket: filled }
  return { taken: true, bucket: { tokens: filled.tokens - cost, filledAt: now } }
}

/** One bucket per key. At `size` keys the one used longest ago is forgotten, so strangers cannot grow the table. */
export class KeyedBuckets {
  readonly #limits: () => BucketLimits
  readonly #size: number
  readonly #buckets = new Map<string, Bucket>()

  constructor(limits: () => BucketLimits, size: number) {
    this.#limits = limits
    this.#size = size
  }

  /** True when `cost` tokens of this key were there to be taken. */
  take(key: string, cost: number, now: number): boolean {
    const limits = this.#limits()
    const result = take(this.#buckets.get(key) ?? fullBucket(limits, now), limits, cost, now)
    this.#buckets.delete(key)
    this.#buckets.set(key, result.bucket)
    if (this.#buckets.size > this.#size) {
      const oldest = this.#buckets.keys().next()
      if (!oldest.done) this.#buckets.delete(oldest.value)
    }
    return result.taken
  }

  get size(): number {
    return this.#buckets.size
  }
}

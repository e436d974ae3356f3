import type { Clock } from '../../../common/platform/clock.ts'
import { type Endpoint, sameEndpoint } from '../../../common/wire/endpoint.ts'
import type { PeerId } from '../../../common/wire/peer-id.ts'

/** Ours: more agents than these are no home; who floods the link must not cost memory. */
const MAX_HEARD = 256
const MAX_SIGHTINGS_PER_PEER = 4
/** A query holds so many known answers in one packet. */
const MAX_KNOWN = 12

/** An instance that was heard of, ours to recognise or not. */
interface Heard {
  /** Of all that was said: with the name alone, anybody could speak for its owner. */
  readonly print: string
  readonly until: number
  readonly peer: PeerId | undefined
}

/** Where a peer showed itself. */
interface Sighting {
  readonly endpoints: readonly Endpoint[]
  readonly at: number
  readonly until: number
  /** Those that led nowhere since. */
  readonly failed: readonly Endpoint[]
}

export interface NewInstance {
  readonly instance: string
  readonly print: string
  readonly ttlMs: number
  /** Undefined: a stranger's. */
  readonly peer: PeerId | undefined
  readonly endpoints: readonly Endpoint[]
}

/** Who is on our links, bounded and with an end to each word. */
export class LanTable {
  readonly #clock: Pick<Clock, 'now'>
  /** By instance, the one heard last is last. */
  readonly #heard = new Map<string, Heard>()
  readonly #sightings = new Map<PeerId, Map<string, Sighting>>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** Whether an instance was heard of before, so that nothing new is to be found out; it lives on for so long. */
  refresh(instance: string, print: string, ttlMs: number): boolean {
    const known = this.#heard.get(instance)
    const now = this.#clock.now()
    if (!known || known.print !== print || known.until <= now) return false
    this.#hear(instance, { ...known, until: now + ttlMs })
    const seen = known.peer === undefined ? undefined : this.#sightings.get(known.peer)
    const sighting = seen?.get(instance)
    if (sighting) seen?.set(instance, { ...sighting, at: now, until: now + ttlMs, failed: [] })
    return true
  }

  /** A new instance, and whose it is. */
  add({ instance, print, ttlMs, peer, endpoints }: NewInstance): void {
    const now = this.#clock.now()
    if (peer === undefined && this.#heard.get(instance)?.peer !== undefined) return
    this.#hear(instance, { print, until: now + ttlMs, peer })
    if (peer === undefined) return
    const seen = this.#sightings.get(peer) ?? new Map<string, Sighting>()
    for (const [old, sighting] of seen) {
      const sameMachine = sighting.endpoints.some(one => endpoints.some(other => sameEndpoint(one, other)))
      if (sameMachine) seen.delete(old)
    }
    const [oldest] = seen.keys()
    if (oldest !== undefined && seen.size >= MAX_SIGHTINGS_PER_PEER) seen.delete(oldest)
    seen.set(instance, { endpoints, at: now, until: now + ttlMs, failed: [] })
    this.#sightings.set(peer, seen)
  }

  /** The instance is no more; gives the peer that it was of. */
  remove(instance: string): PeerId | undefined {
    const peer = this.#heard.get(instance)?.peer
    this.#heard.delete(instance)
    if (peer === undefined) return undefined
    const seen = this.#sightings.get(peer)
    seen?.delete(instance)
    if (seen?.size === 0) this.#sightings.delete(peer)
    return peer
  }

  failed(peer: PeerId, endpoint: Endpoint): void {
    const seen = this.#sightings.get(peer)
    for (const [instance, sighting] of seen ?? []) {
      if (!sighting.endpoints.some(one => sameEndpoint(one, endpoint))) continue
      const others = sighting.failed.filter(one => !sameEndpoint(one, endpoint))
      seen?.set(instance, { ...sighting, failed: [...others, endpoint] })
    }
  }

  /** It showed itself, and somewhere it showed itself has not failed since. */
  isPresent(peer: PeerId): boolean {
    return this.#of(peer).some(({ endpoints, failed }) => failed.length < endpoints.length)
  }

  /** The newest first. */
  endpoints(peer: PeerId): readonly { readonly endpoint: Endpoint; readonly ageMs: number }[] {
    const now = this.#clock.now()
    return this.#of(peer)
      .toSorted((a, b) => b.at - a.at)
      .flatMap(({ endpoints, at }) => endpoints.map(endpoint => ({ endpoint, ageMs: now - at })))
  }

  /** Instances that need not tell themselves again: of whomever, so that nobody sees whom we recognise. */
  known(): readonly { readonly instance: string; readonly ttlS: number }[] {
    const now = this.#clock.now()
    return [...this.#heard]
      .toReversed()
      .filter(([, { until }]) => until > now)
      .slice(0, MAX_KNOWN)
      .map(([instance, { until }]) => ({ instance, ttlS: Math.floor((until - now) / 1000) }))
  }

  /** Others are to be recognised from now on: everybody is a stranger again. */
  clear(): void {
    this.#heard.clear()
    this.#sightings.clear()
  }

  #of(peer: PeerId): readonly Sighting[] {
    const now = this.#clock.now()
    return [...(this.#sightings.get(peer)?.values() ?? [])].filter(({ until }) => until > now)
  }

  #hear(instance: string, heard: Heard): void {
    this.#heard.delete(instance)
    this.#heard.set(instance, heard)
    // Strangers go first: anybody can be many of them.
    if (this.#heard.size <= MAX_HEARD) return
    const stranger = [...this.#heard].find(([name, { peer }]) => peer === undefined && name !== instance)
    const out = stranger?.[0] ?? [...this.#heard.keys()][0]
    if (out !== undefined) this.remove(out)
  }
}

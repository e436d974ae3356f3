import type { Clock, Timer } from '../../../common/platform/clock.ts'
import { pause } from '../../../common/platform/clock.ts'
import type { OpenLinkSocket } from '../../../common/platform/link-socket.ts'
import { createRateGate, type Log } from '../../../common/platform/log.ts'
import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import type { Random } from '../../../common/platform/random.ts'
import type { Endpoint } from '../../../common/wire/endpoint.ts'
import type { HeardAnnouncement } from '../../../common/wire/lan-announcement.ts'
import { type PeerId, shortPeerId } from '../../../common/wire/peer-id.ts'
import type { AddressSource, KnownAddress } from '../address-source.ts'
import { Allowance } from './allowance.ts'
import { isLooking, isShown, keyCount, type LanKeys, makeBadge, printOf, recognise } from './lan-badge.ts'
import { LanLink } from './lan-link.ts'
import { type LanLinkFacts, lanLinks, reachedFrom } from './lan-links.ts'
import { LanTable } from './lan-table.ts'

/** Ours. A start on two links takes 5 kB, and thirty agents that start at once as much again from each. */
const BYTES_AT_ONCE = 32 * 1024
/** An idle agent says some 70 kB a day on a link; this is what strangers who ask without end can make of it. */
const BYTES_PER_MINUTE = 4 * 1024
/** An interface may come without its addresses being ours to use yet, and IPv6 ones come by themselves. */
const LOOK_MS = 5_000
/** Answers come within RFC 6762's 120 ms, and a question or its answer may be lost once. */
const SEEK_MS = 1_200
/** Whoever is there answers the first question, or says so by itself; the links are not asked again this soon. */
const SEEK_APART_MS = 10_000
/** Each may cost us dials; an honest peer changes its names four times an hour, and with its networks. */
const NEWS_AT_ONCE = 12
const NEWS_PER_MINUTE = 6
const MAX_NEWS = 1_024
const MAX_TTL_S = 4_500
/** Keys tried on announcements of whomever, at some 15 us each on a fast machine: a flood takes no more than 2 % of it. */
const KEYS_AT_ONCE = 20_000
const KEYS_PER_MINUTE = 60_000

export interface LanDiscoveryOptions {
  readonly ownId: PeerId
  readonly tcpPort: number
  readonly clock: Clock
  readonly random: Random
  readonly openSocket: OpenLinkSocket
  readonly log: Log
  readonly enabled: () => boolean
  readonly interfaces: () => readonly InterfaceAddress[]
  readonly linkLocal: () => ReadonlyMap<string, string>
  readonly keys: () => LanKeys
  /** A peer of ours showed itself. */
  readonly onSeen: (peer: PeerId) => void
}

/** Finds peers on the links that this machine is on, with no server: DNS-SD over multicast, for those who know a key. */
export class LanDiscovery implements AddressSource {
  readonly name = 'lan'
  readonly #options: LanDiscoveryOptions
  readonly #table: LanTable
  readonly #bytes: Allowance
  readonly #tries: Allowance
  readonly #news = new Map<PeerId, Allowance>()
  readonly #mayLog: (key: string) => boolean
  readonly #looking: Timer
  #links: readonly LanLink[] = []
  #facts = ''
  /** By which others are recognised. */
  #recognised = ''
  #askedAt = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(options: LanDiscoveryOptions) {
    this.#options = options
    this.#table = new LanTable(options.clock)
    this.#bytes = new Allowance(options.clock, BYTES_AT_ONCE, BYTES_PER_MINUTE)
    this.#tries = new Allowance(options.clock, KEYS_AT_ONCE, KEYS_PER_MINUTE)
    this.#mayLog = createRateGate(options.clock, 600_000)
    this.#looking = options.clock.every(LOOK_MS, () => this.look())
    this.look()
  }

  addresses(peer: PeerId): readonly KnownAddress[] {
    return this.#table.endpoints(peer).map(found => ({ source: 'lan', how: 'lan', ...found }))
  }

  isPresent(peer: PeerId): boolean {
    return this.#table.isPresent(peer)
  }

  async seek(peer: PeerId, signal: AbortSignal): Promise<void> {
    if (this.#links.length === 0 || this.isPresent(peer) || !isLooking(this.#options.keys())) return
    this.#ask()
    const { clock } = this.#options
    const leftMs = this.#askedAt + SEEK_MS - clock.now()
    if (leftMs > 0) await pause(clock, leftMs, signal)
  }

  failed(peer: PeerId, endpoint: Endpoint): void {
    this.#table.failed(peer, endpoint)
    // RFC 6762 §10.4: what is doubtful is asked for.
    if (this.#table.endpoints(peer).length > 0 && !this.isPresent(peer)) this.#ask()
  }

  /** Whether the links are the same as at the last look; new ones are spoken on at once. */
  look(): void {
    if (this.#closed) return
    const { enabled, interfaces, linkLocal } = this.#options
    const found = enabled() ? lanLinks(interfaces(), linkLocal()) : []
    const facts = JSON.stringify(found)
    if (facts === this.#facts) return
    this.#facts = facts
    const texts = new Map(this.#links.map(link => [JSON.stringify(link.facts), link]))
    const kept = found.map(link => texts.get(JSON.stringify(link)) ?? this.#open(link))
    for (const link of this.#links) if (!kept.includes(link)) void link.close()
    this.#links = kept
    this.#askedAt = this.#options.clock.now()
  }

  /** Our network is another one, or we know other keys: all is said and asked again. */
  renew(): void {
    const before = this.#links
    this.look()
    for (const link of this.#links) if (before.includes(link)) link.renew()
    this.#askedAt = this.#options.clock.now()
  }

  /** As `renew`, and whoever was a stranger may be none now, or the other way round. */
  keysChanged(): void {
    const { pinned, network, held } = this.#options.keys()
    const recognised = JSON.stringify([pinned, network, held])
    if (recognised !== this.#recognised) this.#table.clear()
    this.#recognised = recognised
    this.renew()
  }

  /** Why no peer is found on a link that there is; undefined while all are heard. */
  get problem(): { readonly interfaceName: string; readonly reason: string } | undefined {
    const deaf = this.#links.find(({ problem }) => problem !== undefined)
    return deaf && { interfaceName: deaf.facts.interfaceName, reason: deaf.problem ?? '' }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#looking.cancel()
    await Promise.all(this.#links.map(link => link.close()))
  }

  #open(facts: LanLinkFacts): LanLink {
    const { ownId, tcpPort, clock, random, openSocket, log, keys } = this.#options
    return new LanLink({
      facts,
      tcpPort,
      clock,
      random,
      openSocket,
      bytes: this.#bytes,
      shown: () => isShown(keys()),
      looking: () => isLooking(keys()),
      badge: announcement => makeBadge(ownId, keys(), announcement, random),
      known: () => this.#table.known(),
      onHeard: (heard, link) => this.#onHeard(heard, link),
      onFailure: cause => {
        const { interfaceName } = facts
        if (this.#mayLog(interfaceName)) log.debug('no LAN discovery', { interfaceName, reason: cause.message })
      },
    })
  }

  #ask(): void {
    const now = this.#options.clock.now()
    if (now - this.#askedAt < SEEK_APART_MS) return
    this.#askedAt = now
    for (const link of this.#links) link.ask()
  }

  #onHeard({ announcement, ttlS }: HeardAnnouncement, link: LanLinkFacts): void {
    const { instance, port, addresses } = announcement
    if (this.#links.some(own => own.instance === instance)) return
    if (ttlS === 0) {
      this.#table.remove(instance)
      return
    }
    const ttlMs = Math.min(ttlS, MAX_TTL_S) * 1000
    const print = printOf(announcement)
    if (this.#table.refresh(instance, print, ttlMs)) return
    const { ownId, log, onSeen } = this.#options
    const keys = this.#options.keys()
    if (!this.#tries.take(keyCount(keys))) return
    const peer = recognise(announcement, keys)
    if (peer === ownId) return
    if (peer !== undefined && !this.#isNews(peer)) return
    const endpoints = addresses.flatMap(address => {
      const there = reachedFrom(address, link)
      return there === undefined ? [] : [{ address: there, port }]
    })
    this.#table.add({ instance, print, ttlMs, peer, endpoints })
    if (peer === undefined || endpoints.length === 0) return
    log.debug('a peer is on the LAN', { peer: shortPeerId(peer), interfaceName: link.interfaceName })
    onSeen(peer)
  }

  #isNews(peer: PeerId): boolean {
    const allowance = this.#news.get(peer) ?? new Allowance(this.#options.clock, NEWS_AT_ONCE, NEWS_PER_MINUTE)
    if (this.#news.size >= MAX_NEWS) this.#news.clear()
    this.#news.set(peer, allowance)
    return allowance.take(1)
  }
}

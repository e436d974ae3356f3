import { CulvertError } from '../../../common/errors.ts'
import type { Clock, Timer } from '../../../common/platform/clock.ts'
import type { LinkSocket, OpenLinkSocket } from '../../../common/platform/link-socket.ts'
import type { Random } from '../../../common/platform/random.ts'
import { type DnsMessage, decodeDns, MAX_DNS_BYTES } from '../../../common/wire/dns-message.ts'
import type { Endpoint } from '../../../common/wire/endpoint.ts'
import {
  encodeLanAnnouncement,
  encodeLanQuery,
  type HeardAnnouncement,
  LAN_SERVICE_LABEL,
  LAN_TTL_S,
  type LanAnnouncement,
  type LanBadge,
  lanAnnouncementsOf,
  lanQuestionOf,
} from '../../../common/wire/lan-announcement.ts'
import { Allowance } from './allowance.ts'
import { isOnLink, type LanLinkFacts } from './lan-links.ts'
import { announceDelayMs, answerDelayMs, queryDelayMs, renameDelayMs, reopenDelayMs } from './lan-schedule.ts'

/** RFC 6762 §3. */
const MDNS_PORT = 5353
const GROUP_4 = '224.0.0.251'
const GROUP_6 = 'ff02::fb'
/** RFC 6762 §6.7: who asks as plain DNS does keeps nothing up to date. */
const LEGACY_TTL_S = 10
/** RFC 6762 §6: the same is not said to all again this soon. */
const SAY_APART_MS = 1_000
/** Ethernet, IPv6 and UDP. */
const HEADER_BYTES = 62
/** Ours: neighbours of whom it is remembered that they were heard; who is forgotten is asked once too often. */
const MAX_NEIGHBOURS = 64
/** Of a stranger's packets about us; each may cost a look at every key that we know. */
const HEARD_AT_ONCE = 128
const HEARD_PER_MINUTE = 600

export interface LanLinkOptions {
  readonly facts: LanLinkFacts
  readonly tcpPort: number
  readonly clock: Clock
  readonly random: Random
  readonly openSocket: OpenLinkSocket
  /** What all links together may send. */
  readonly bytes: Allowance
  /** Whether anybody could recognise us. */
  readonly shown: () => boolean
  /** Whether we could recognise anybody. */
  readonly looking: () => boolean
  readonly badge: (announcement: Omit<LanAnnouncement, 'badge'>) => LanBadge
  readonly known: () => readonly { readonly instance: string; readonly ttlS: number }[]
  readonly onHeard: (heard: HeardAnnouncement, link: LanLinkFacts) => void
  readonly onFailure: (cause: Error) => void
}

/** Says who is here on one link, asks who else is, and answers. Names change now and then, and say nothing. */
export class LanLink {
  readonly facts: LanLinkFacts
  readonly #options: LanLinkOptions
  readonly #sockets = new Map<4 | 6, LinkSocket>()
  readonly #timers = new Set<Timer>()
  readonly #heard: Allowance
  /** Addresses that an answer came from, or that were asked back, and when. */
  readonly #neighbours = new Map<string, number>()
  #own: LanAnnouncement
  #saying: Timer | undefined
  #asking: Timer | undefined
  #saidAt = Number.NEGATIVE_INFINITY
  #answer: Timer | undefined
  #problem: string | undefined
  #closed = false

  constructor(options: LanLinkOptions) {
    this.#options = options
    this.facts = options.facts
    this.#heard = new Allowance(options.clock, HEARD_AT_ONCE, HEARD_PER_MINUTE)
    this.#own = this.#newNames()
    const [first] = this.facts.ipv4
    if (first) this.#open(4, GROUP_4, first.address)
    const { ipv6, interfaceName } = this.facts
    if (ipv6) this.#open(6, `${GROUP_6}%${interfaceName}`, `${ipv6}%${interfaceName}`)
    this.#renameLater()
  }

  /** Why this link is not heard in any IP version. */
  get problem(): string | undefined {
    return this.#sockets.size === 0 ? this.#problem : undefined
  }

  get instance(): string {
    return this.#own.instance
  }

  /** Says and asks all anew, as after the start, under new names. */
  renew(): void {
    this.#own = this.#newNames()
    this.#begin()
  }

  /** Asks once, out of turn. */
  ask(): void {
    const query = encodeLanQuery(this.#options.known())
    if (this.#options.looking()) this.#toAll(query, socket => socket.ask(query))
  }

  /** Takes back what was said; resolves when that has left. */
  async close(): Promise<void> {
    if (this.#closed) return
    const left = this.#saidAt > Number.NEGATIVE_INFINITY ? this.#say(0) : []
    this.#closed = true
    for (const timer of [this.#saying, this.#asking, this.#answer, ...this.#timers]) timer?.cancel()
    await Promise.all(left)
    for (const socket of this.#sockets.values()) socket.close()
  }

  #open(version: 4 | 6, group: string, address: string, failures = 0): void {
    if (this.#closed) return
    let ready = false
    const socket: LinkSocket = this.#options.openSocket({
      group: { address: group, port: MDNS_PORT },
      address,
      onReady: () => {
        ready = true
        this.#begin()
      },
      onDatagram: (bytes, from) => this.#onDatagram(bytes, from, socket),
      onFailure: cause => {
        this.#sockets.delete(version)
        if (this.#closed) return
        this.#problem = cause.message
        this.#options.onFailure(cause)
        const failed = ready ? 1 : failures + 1
        this.#in(reopenDelayMs(failed), () => this.#open(version, group, address, failed))
      },
    })
    this.#sockets.set(version, socket)
  }

  #begin(): void {
    this.#sayFrom(0, false)
    this.#askFrom(0)
  }

  #sayFrom(said: number, renamed: boolean): void {
    this.#saying?.cancel()
    const delayMs = announceDelayMs(said, renamed)
    if (delayMs === undefined) return
    this.#saying = this.#options.clock.after(delayMs, () => {
      this.#say(LAN_TTL_S)
      this.#sayFrom(said + 1, renamed)
    })
  }

  #askFrom(asked: number): void {
    const { clock } = this.#options
    this.#asking?.cancel()
    this.#asking = clock.after(queryDelayMs(asked, this.#chance()), () => {
      this.ask()
      this.#askFrom(asked + 1)
    })
  }

  /** Who saw the old names learns the new ones only if it knows a key. */
  #renameLater(): void {
    this.#in(renameDelayMs(this.#chance()), () => {
      this.#own = this.#newNames()
      this.#sayFrom(0, true)
      this.#renameLater()
    })
  }

  #newNames(): LanAnnouncement {
    const { random, badge, tcpPort } = this.#options
    const name = () => Buffer.from(random.bytes(8)).toString('hex')
    const named = { instance: name(), host: name(), port: tcpPort, addresses: this.facts.addresses }
    return { ...named, badge: badge(named) }
  }

  #say(ttlS: number): readonly Promise<void>[] {
    if (!this.#options.shown()) return []
    this.#saidAt = this.#options.clock.now()
    const bytes = encodeLanAnnouncement(this.#own, { ttlS })
    return this.#toAll(bytes, socket => socket.announce(bytes))
  }

  #toAll(bytes: Uint8Array, send: (socket: LinkSocket) => Promise<void>): readonly Promise<void>[] {
    if (this.#closed) return []
    return [...this.#sockets.values()].filter(({ ready }) => ready && this.#spend(bytes)).map(socket => send(socket))
  }

  #onDatagram(bytes: Buffer, from: Endpoint, socket: LinkSocket): void {
    // Most of what is said on a link is about other services.
    if (this.#closed || bytes.length > MAX_DNS_BYTES || !bytes.includes(LAN_SERVICE_LABEL)) return
    if (!isOnLink(from.address, this.facts) || !this.#heard.take(1)) return
    const message = readDns(bytes)
    if (message?.response) {
      // RFC 6762 §6: an answer comes from no other port.
      if (from.port !== MDNS_PORT) return
      const others = lanAnnouncementsOf(message).filter(
        ({ announcement }) => announcement.instance !== this.#own.instance,
      )
      if (others.length > 0) this.#note(from.address, LAN_TTL_S * 1000)
      for (const heard of others) this.#options.onHeard(heard, this.facts)
      return
    }
    if (!message || (from.port === socket.ownPort && this.#isOwn(from.address))) return
    const question = lanQuestionOf(message, this.#own)
    if (question?.unicast && from.port !== MDNS_PORT) this.#askBack(from, socket)
    if (!question || question.known.has(this.#own.instance) || !this.#options.shown()) return
    if (from.port !== MDNS_PORT) {
      const ttlS = question.unicast ? LAN_TTL_S : LEGACY_TTL_S
      this.#answerTo(from, encodeLanAnnouncement(this.#own, { ttlS, repliesTo: question.id }), socket)
    } else if (question.unicast) this.#answerTo(from, encodeLanAnnouncement(this.#own), socket)
    else this.#answerAll()
  }

  /** What is said to all may be lost on the way; who asks from a port of its own hears what is said to it alone. */
  #askBack(asker: Endpoint, socket: LinkSocket): void {
    const { clock, looking, known } = this.#options
    if ((this.#neighbours.get(asker.address) ?? 0) > clock.now() || !socket.ready || !looking()) return
    this.#note(asker.address, SAY_APART_MS)
    const query = encodeLanQuery(known())
    if (this.#spend(query)) void socket.ask(query, asker)
  }

  #spend(bytes: Uint8Array): boolean {
    return this.#options.bytes.take(bytes.length + HEADER_BYTES)
  }

  #note(address: string, forMs: number): void {
    this.#neighbours.delete(address)
    this.#neighbours.set(address, this.#options.clock.now() + forMs)
    const [oldest] = this.#neighbours.keys()
    if (oldest !== undefined && this.#neighbours.size > MAX_NEIGHBOURS) this.#neighbours.delete(oldest)
  }

  #answerTo(to: Endpoint, bytes: Uint8Array, socket: LinkSocket): void {
    if (socket.ready && this.#spend(bytes)) void socket.answer(bytes, to)
  }

  #answerAll(): void {
    const { clock } = this.#options
    if (this.#answer) return
    const soonest = this.#saidAt + SAY_APART_MS - clock.now()
    this.#answer = clock.after(Math.max(answerDelayMs(this.#chance()), soonest), () => {
      this.#answer = undefined
      this.#say(LAN_TTL_S)
    })
  }

  #isOwn(address: string): boolean {
    const plain = address.replace(/%.*$/, '')
    return plain === this.facts.ipv6 || this.facts.ipv4.some(own => own.address === plain)
  }

  #in(delayMs: number, run: () => void): void {
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(timer)
      if (!this.#closed) run()
    })
    this.#timers.add(timer)
  }

  #chance(): number {
    return this.#options.random.integer(0, 1000) / 1000
  }
}

/** Undefined: no DNS. */
function readDns(bytes: Buffer): DnsMessage | undefined {
  try {
    return decodeDns(bytes)
  } catch (thrown) {
    if (thrown instanceof CulvertError) return undefined
    throw thrown
  }
}

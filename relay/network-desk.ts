import type { Clock } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import type { Endpoint } from '../common/wire/endpoint.ts'
import { type Chain, encodeChain } from '../common/wire/membership.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import type { Guest, RelayMessage } from '../common/wire/relay-message.ts'
import type { Standing } from './admission.ts'
import type { Counters } from './counters.ts'
import { GuestBook } from './guest-book.ts'
import { chainIn, isOver, type NetworkTerms, WAS_REMOVED } from './membership-claim.ts'
import type { ProvenChains } from './proven-chains.ts'
import { KeyedBuckets } from './quota.ts'
import { Standings } from './standings.ts'

/** The line of one proven peer, as far as this desk needs it. */
export interface MemberLine {
  readonly peer: PeerId | undefined
  readonly standing: Standing | undefined
  readonly membership: Chain | undefined
  readonly ends: { readonly remote: Endpoint }
  tell(message: RelayMessage): void
  expel(reason: string): void
}

export interface NetworkDeskParts<L> {
  readonly clock: Clock
  readonly log: Log
  readonly counters: Counters
  readonly chains: ProvenChains
  lines(): Iterable<L>
  lineOf(peer: PeerId): L | undefined
  /** The relay's owner named this network, so that what it says is kept. */
  isAdmitted(network: PeerId): boolean
  /** As for handshakes. */
  mayVerify(from: Endpoint, tokens: number): boolean
  /** A member is out of its network; its line ends. */
  onRemoved(peer: PeerId): void
  /** What is to be remembered has changed. */
  onChange(): void
}

/** An admin who clears up removes some at a time; each goes to all lines of the network. */
const STATEMENT_LIMITS = { perSecond: 1, burst: 32 }
const MAX_SOURCES = 10_000
/** Of the removals that were told while a member was away, as many as it is told when it comes. */
const TOLD_AT_OPEN = 16
/** What was passed on lately is not passed on again. */
const MAX_PASSED_ON = 1_024

/** What a relay does for networks: passes on what members say about who is one, and lets their guests in. */
export class NetworkDesk<L extends MemberLine> {
  readonly standings = new Standings()
  readonly guests = new GuestBook<L>()
  readonly #parts: NetworkDeskParts<L>
  readonly #statements = new KeyedBuckets(() => STATEMENT_LIMITS, MAX_SOURCES)
  readonly #passedOn = new Set<string>()

  constructor(parts: NetworkDeskParts<L>) {
    this.#parts = parts
  }

  get terms(): NetworkTerms {
    return {
      now: this.#now(),
      faultOf: chain => this.standings.faultOf(chain),
      signedAnew: (network, peer) => this.standings.signedAnew(network, peer),
      wasRemoved: peer => this.standings.wasRemoved(peer),
      isGuest: peer => this.guests.hostsOf(peer, this.#now()).length > 0,
    }
  }

  opened(line: L): void {
    const { membership } = line
    if (!membership) return
    const { network, peer } = membership.entry
    if (this.standings.show(membership)) this.#parts.onChange()
    const anew = this.standings.signedAnew(network, peer)
    for (const chain of [...this.standings.lastRemovals(network, TOLD_AT_OPEN), ...(anew ? [anew] : [])]) {
      line.tell({ type: 'statement', chain: encodeChain(chain) })
    }
  }

  closed(line: L): void {
    this.guests.forget(line)
  }

  /** A guest has no guests. */
  expect(line: L, guests: readonly Guest[]): void {
    if (line.standing && line.standing.name !== 'guest') this.guests.expect(line, guests)
  }

  /** An entry that a member tells: proven, it goes to all lines of the network, and takes effect here. */
  state(line: L, bytes: Uint8Array): void {
    const { counters, clock, chains, mayVerify, isAdmitted, onChange } = this.#parts
    const { peer, membership } = line
    const chain = chainIn(bytes)
    if (peer === undefined || !membership || chain?.entry.network !== membership.entry.network) {
      counters.refuse('statement-malformed')
      return
    }
    const key = Buffer.from(bytes).toString('base64')
    const isKnown = this.#passedOn.has(key)
    // Whom it removes may have been away then.
    const missed = isKnown ? this.#lineOf(chain) : undefined
    if (isKnown && (!missed || missed === line)) return
    const allowed = this.#statements.take(peer, 1, clock.now()) && mayVerify(line.ends.remote, chains.cost(chain))
    if (!allowed) {
      counters.refuse('statement-rate')
      return
    }
    if (missed) {
      missed.tell({ type: 'statement', chain: bytes })
      return
    }
    if (!chains.prove(chain) || this.standings.faultOf(chain) === 'signer-removed') {
      counters.refuse('statement-unproven')
      return
    }
    this.#noteSent(key)
    counters.statements++
    const { network } = chain.entry
    if (isAdmitted(network) && this.standings.take(chain)) onChange()
    for (const other of this.#parts.lines()) {
      if (other.membership?.entry.network !== network) continue
      if (other !== line) other.tell({ type: 'statement', chain: bytes })
      this.#review(other)
    }
  }

  /** Called now and then: ends the lines of memberships and of guests whose time is over. */
  sweep(): void {
    for (const line of this.#parts.lines()) this.#review(line)
  }

  /** After a change of what is admitted. */
  forgetOthers(): void {
    this.standings.keepOnly(network => this.#parts.isAdmitted(network))
  }

  /** A guest calls who expects it, and is called by nobody else. */
  mayCall(caller: L, callee: L): boolean {
    const [hosts, hostsOfCallee] = [this.#hostsOf(caller), this.#hostsOf(callee)]
    return (!hosts || hosts.includes(callee)) && (!hostsOfCallee || hostsOfCallee.includes(caller))
  }

  isExpected(caller: L, callee: L): boolean {
    return this.#hostsOf(caller)?.includes(callee) ?? false
  }

  /** A guest may know who is there of those who expect it. */
  watchable(line: L, peers: readonly PeerId[]): readonly PeerId[] {
    const hosts = this.#hostsOf(line)
    return hosts ? peers.filter(peer => hosts.some(host => host.peer === peer)) : peers
  }

  /** Who pays for what a peer sends: for a guest who expects it, since guests cost nothing. */
  payerOf(peer: PeerId, line: L | undefined): PeerId {
    const [host] = (line && this.#hostsOf(line)) ?? []
    return host?.peer ?? peer
  }

  /** Of the very device that a removal is about. */
  #lineOf({ entry: { network, peer, removed } }: Chain): L | undefined {
    if (!removed) return undefined
    const line = this.#parts.lineOf(peer)
    return line?.membership?.entry.network === network ? line : undefined
  }

  #hostsOf(line: L): readonly L[] | undefined {
    if (line.standing?.name !== 'guest' || line.peer === undefined) return undefined
    return this.guests.hostsOf(line.peer, this.#now())
  }

  #review(line: L): void {
    const { standing, peer } = line
    if (standing?.name === 'guest' && peer !== undefined) {
      if (this.guests.hostsOf(peer, this.#now()).length === 0) this.#expel(line, 'nobody expects this guest any more')
    } else if (standing?.name === 'member') {
      const { membership } = standing
      if (isOver(membership, this.#now())) this.#expel(line, 'the membership of this device has ended')
      else if (this.standings.faultOf(membership) === 'removed') {
        this.#expel(line, WAS_REMOVED)
        if (peer !== undefined) this.#parts.onRemoved(peer)
      } else if (this.standings.faultOf(membership))
        this.#expel(line, 'the admin who signed the membership of this device was removed')
    }
  }

  #expel(line: L, why: string): void {
    this.#parts.log.info('line ended', { peer: line.peer && shortPeerId(line.peer), why })
    line.expel(`not-authorized: ${why}`)
  }

  #noteSent(key: string): void {
    this.#passedOn.add(key)
    const [oldest] = this.#passedOn
    if (this.#passedOn.size > MAX_PASSED_ON && oldest !== undefined) this.#passedOn.delete(oldest)
  }

  #now(): number {
    return Math.floor(this.#parts.clock.wallNow() / 1000)
  }
}

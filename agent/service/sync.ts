import type { Duplex } from 'node:stream'
import { asCulvertError, CulvertError, type ErrorCode } from '../../common/errors.ts'
import { type Clock, deadline, type Timer } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import { StreamQuota } from './stream-quota.ts'
import { openExchange, sayNews, serveExchange } from './sync-exchange.ts'
import type { SyncItem, SyncSet } from './sync-set.ts'

/** A roster of 10,000 over a line of 1 Mbit/s takes half a minute. */
const EXCHANGE_MS = 120_000
/** At a time, opened here; those of others are bounded per peer. */
const MAX_EXCHANGES = 4
/** What one peer may open in a minute, and have open. */
const STREAMS_PER_MINUTE = 150
const MAX_STREAMS_PER_PEER = 3
/** More news than this are told by digest. */
const MAX_NEWS = 64
/** News that are not urgent wait so long for others after the last. */
const NEWS_APART_MS = 1_000
/** After a session came up: what its user wants goes first. */
const SETTLE_MS = { least: 300, most: 1_000 } as const
/** Two that have just told each other everything need not again when a second session comes up. */
const FRESH_MS = 30_000
/** After the first relay is there: others that start at the same moment come, too. */
const FIRST_ROUND_MS = { least: 3_000, most: 12_000 } as const
/** Nobody was there to hear from; to look again costs nothing. */
const ALONE_MS = { least: 50_000, most: 70_000 } as const
/** A device without sessions hears what it missed in the end: some 10 kB each time. */
const ROUND_MS = { least: 5 * 3_600_000, most: 7 * 3_600_000 } as const
/** News go on to so many that there is no session with, from who made them and from who heard them. */
const OWN_FANOUT = 3
const HEARD_FANOUT = 2
/** How soon; who hears something that all hear must not call all at once. */
const OWN_MS = { least: 0, most: 200 } as const
const URGENT_MS = { least: 0, most: 2_000 } as const
const HEARD_MS = { least: 1_000, most: 10_000 } as const
/** A stranger may be a new member that we have not heard of; twice as long after each time that it was none. */
const DOUBT_MS = { least: 20_000, most: 3_600_000 } as const
/** What is on its way to a peer whose session is about to be cut. */
const LAST_NEWS_MS = 200

interface Span {
  readonly least: number
  readonly most: number
}

/** What an exchange needs of a stream of a session. */
export interface SyncStream extends Duplex {
  accept(): void
  reset(code: ErrorCode, reason: string): void
}

export interface SyncOptions {
  readonly ownId: PeerId
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** What is to be the same at all members, by number; those that this peer may know. */
  readonly setsFor: (peer: PeerId) => ReadonlyMap<number, SyncSet> | undefined
  /** Members that there is a session with. */
  readonly live: () => readonly PeerId[]
  /** Members that are there, and there is no session with. */
  readonly online: () => readonly PeerId[]
  /** A stream to the peer, over the session that there is, or a new one. */
  readonly open: (peer: PeerId, signal: AbortSignal) => Promise<SyncStream>
  /** Over the session that there is. */
  readonly openNow: (peer: PeerId) => SyncStream | undefined
  /** A session that was made for this is not needed any more. */
  readonly rest: (peer: PeerId) => void
}

/** News of one set. */
export interface News {
  readonly set: number
  readonly items: readonly SyncItem[]
  /** Who told us; undefined when they were made here. */
  readonly from: PeerId | undefined
  /** Somebody is to be cut. */
  readonly urgent: boolean
  /** Also those are to hear it soon that nobody has a session with. */
  readonly spread: boolean
}

/** Keeps the sets of a network alike: when and with whom this device exchanges, and how news go on. */
export class Sync {
  readonly #options: SyncOptions
  readonly #stop = new AbortController()
  readonly #quota: StreamQuota
  readonly #running = new Map<PeerId, Promise<boolean>>()
  readonly #freshAt = new Map<PeerId, number>()
  readonly #timers = new Set<Timer>()
  readonly #mayLog: (key: string) => boolean
  #news: { readonly set: number; readonly item: SyncItem; readonly from: PeerId | undefined }[] = []
  #newsTimer: Timer | undefined
  #toldAt = Number.NEGATIVE_INFINITY
  #started = false
  #spread:
    | { readonly timer: Timer; readonly dueAt: number; readonly fanout: number; readonly since: number }
    | undefined
  #doubtMs: number = DOUBT_MS.least
  #doubtedAt = Number.NEGATIVE_INFINITY

  constructor(options: SyncOptions) {
    this.#options = options
    this.#quota = new StreamQuota(options.clock, STREAMS_PER_MINUTE, MAX_STREAMS_PER_PEER)
    this.#mayLog = createRateGate(options.clock, 60_000)
  }

  /** A member opened a stream to us. */
  async serve(peer: PeerId, stream: SyncStream): Promise<void> {
    const { setsFor, clock } = this.#options
    const sets = setsFor(peer)
    if (!sets) {
      stream.reset('not-authorized', 'only members of the same network exchange their rosters')
      return
    }
    const done = this.#quota.take(peer)
    if (!done) {
      stream.reset('over-quota', `no more than ${STREAMS_PER_MINUTE} exchanges a minute`)
      return
    }
    const limit = clock.after(EXCHANGE_MS, () => stream.reset('timed-out', 'the exchange took too long'))
    try {
      stream.accept()
      await serveExchange(stream, sets, peer)
      this.#exchanged(peer)
    } catch (thrown) {
      this.#failed(peer, stream, thrown)
    } finally {
      limit.cancel()
      done()
    }
  }

  /** A session came up: one of the two opens an exchange. */
  onUp(peer: PeerId): void {
    const { ownId, clock, live, setsFor } = this.#options
    if (ownId > peer || !setsFor(peer)) return
    this.#later(SETTLE_MS, () => {
      const fresh = clock.now() - (this.#freshAt.get(peer) ?? Number.NEGATIVE_INFINITY) < FRESH_MS
      if (!fresh && live().includes(peer)) void this.#exchange(peer)
    })
  }

  /** There is a network to hear of. */
  start(): void {
    if (this.#started) return
    this.#started = true
    this.#later(FIRST_ROUND_MS, () => void this.#hear(2))
  }

  /** Tells those that there is a session with at once, and maybe a few others soon. */
  tell({ set, items, from, urgent, spread }: News): void {
    if (items.length === 0 || this.#stop.signal.aborted) return
    for (const item of items) this.#news.push({ set, item, from })
    const due = this.#toldAt + NEWS_APART_MS - this.#options.clock.now()
    if (urgent || due <= 0) this.#tellLive()
    else this.#newsTimer ??= this.#options.clock.after(due, () => this.#tellLive())
    if (!spread) return
    this.#doubtMs = DOUBT_MS.least
    const own = from === undefined
    this.#goOn(own ? OWN_MS : urgent ? URGENT_MS : HEARD_MS, own ? OWN_FANOUT : HEARD_FANOUT)
  }

  /** The last thing that this peer hears from us; resolves when it is on its way, or cannot be. */
  async tellLast(peer: PeerId, set: number, items: readonly SyncItem[]): Promise<void> {
    const stream = this.#openNow(peer)
    if (!stream) return
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.after(LAST_NEWS_MS, resolve)
      const settle = () => {
        timer.cancel()
        resolve()
      }
      stream.once('finish', settle)
      stream.once('close', settle)
      sayNews(stream, set, items)
      stream.resume()
    })
  }

  /** Somebody came whom we do not know: perhaps one that we have not heard of. */
  doubt(): void {
    const { clock, live, online } = this.#options
    if (clock.now() - this.#doubtedAt < this.#doubtMs) return
    const [peer] = [...this.#some(live(), 1), ...this.#some(online(), 1)]
    if (peer === undefined) return
    this.#doubtedAt = clock.now()
    this.#doubtMs = Math.min(2 * this.#doubtMs, DOUBT_MS.most)
    void this.#exchange(peer)
  }

  close(): void {
    this.#stop.abort()
    this.#newsTimer?.cancel()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  #tellLive(): void {
    const { clock, live } = this.#options
    this.#newsTimer?.cancel()
    this.#newsTimer = undefined
    this.#toldAt = clock.now()
    const news = this.#news
    this.#news = []
    const sets = new Set(news.map(({ set }) => set))
    for (const peer of live()) {
      for (const set of sets) {
        const items = news.filter(one => one.set === set && one.from !== peer).map(({ item }) => item)
        if (items.length > 0) this.#tellOne(peer, set, items)
      }
    }
  }

  #tellOne(peer: PeerId, set: number, items: readonly SyncItem[]): void {
    if (items.length > MAX_NEWS) {
      void this.#exchange(peer)
      return
    }
    const stream = this.#openNow(peer)
    if (!stream) return
    // What it says is of no interest, and what it refuses it hears by the next exchange.
    stream.resume()
    sayNews(stream, set, items)
  }

  #openNow(peer: PeerId): SyncStream | undefined {
    try {
      return this.#options.openNow(peer)
    } catch (thrown) {
      // The session is full, or over.
      if (thrown instanceof CulvertError) return undefined
      throw thrown
    }
  }

  /** News are to reach those that nobody has a session with. */
  #goOn(span: Span, fanout: number): void {
    const { clock, random } = this.#options
    const dueAt = clock.now() + random.integer(span.least, span.most + 1)
    const before = this.#spread
    if (before && before.dueAt <= dueAt && before.fanout >= fanout) return
    this.#drop(before?.timer)
    const most = Math.max(fanout, before?.fanout ?? 0)
    const since = clock.now()
    const timer = clock.after(Math.max(0, Math.min(dueAt, before?.dueAt ?? dueAt) - clock.now()), () => {
      this.#drop(timer)
      this.#spread = undefined
      // Who has exchanged with us since has told us, or was told.
      const others = this.#options.online().filter(peer => (this.#freshAt.get(peer) ?? -1) < since)
      for (const peer of this.#some(others, most)) void this.#exchange(peer)
    })
    this.#timers.add(timer)
    this.#spread = { timer, dueAt, fanout: most, since }
  }

  /** What was missed is heard from a few; then again after some hours. */
  async #hear(count: number): Promise<void> {
    const { online, live } = this.#options
    const there = [...online()]
    const chosen = this.#some(there.length > 0 ? there : live(), count)
    const heard = await Promise.all(chosen.map(peer => this.#exchange(peer)))
    if (this.#stop.signal.aborted) return
    if (heard.includes(true)) this.#later(ROUND_MS, () => void this.#hear(1))
    else this.#later(ALONE_MS, () => void this.#hear(count))
  }

  /** One at a time with each peer; true when all was told and taken. */
  #exchange(peer: PeerId): Promise<boolean> {
    const running = this.#running.get(peer)
    if (running) return running
    if (this.#running.size >= MAX_EXCHANGES) return Promise.resolve(false)
    const exchange = this.#run(peer).finally(() => this.#running.delete(peer))
    this.#running.set(peer, exchange)
    return exchange
  }

  async #run(peer: PeerId): Promise<boolean> {
    const { clock, open, rest, live, setsFor } = this.#options
    const sets = setsFor(peer)
    if (!sets) return false
    const wasLive = live().includes(peer)
    const limit = deadline(clock, EXCHANGE_MS, this.#stop.signal)
    let stream: SyncStream | undefined
    let done = false
    const abort = () => stream?.reset('timed-out', 'the exchange took too long')
    limit.signal.addEventListener('abort', abort, { once: true })
    try {
      stream = await open(peer, limit.signal)
      if (limit.signal.aborted) abort()
      await openExchange(stream, sets.values(), peer)
      this.#exchanged(peer)
      done = true
    } catch (thrown) {
      this.#failed(peer, stream, thrown)
    } finally {
      limit.done()
      limit.signal.removeEventListener('abort', abort)
    }
    if (!wasLive) rest(peer)
    return done
  }

  #exchanged(peer: PeerId): void {
    // Only the last half minute matters.
    if (this.#freshAt.size > 1_000) this.#freshAt.clear()
    this.#freshAt.set(peer, this.#options.clock.now())
  }

  #failed(peer: PeerId, stream: SyncStream | undefined, thrown: unknown): void {
    const error = asCulvertError(stream?.errored ?? thrown, 'stream-reset', 'the exchange failed')
    stream?.reset(error.code, error.message)
    if (error.code !== 'wire-malformed' || !this.#mayLog(peer)) return
    this.#options.log.warn('a member tells what is no roster', { peer: shortPeerId(peer), reason: error.message })
  }

  /** Drawn from all of them. */
  #some(peers: readonly PeerId[], count: number): readonly PeerId[] {
    const rest = [...peers]
    const chosen: PeerId[] = []
    while (chosen.length < count && rest.length > 0) {
      chosen.push(...rest.splice(this.#options.random.integer(0, rest.length), 1))
    }
    return chosen
  }

  #later({ least, most }: Span, run: () => void): Timer {
    const { clock, random } = this.#options
    const timer = clock.after(random.integer(least, most + 1), () => {
      this.#timers.delete(timer)
      run()
    })
    this.#timers.add(timer)
    return timer
  }

  #drop(timer: Timer | undefined): void {
    if (!timer) return
    timer.cancel()
    this.#timers.delete(timer)
  }
}

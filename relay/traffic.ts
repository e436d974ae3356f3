import type { Clock, Timer } from '../common/platform/clock.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import { type Allowance, isFresh, isOverDay, newAllowance, spend, type TrafficLimits, verdictOf } from './allowance.ts'

/** Counts one direction of a pipe against what its sender, and all together, may send. */
export interface Meter {
  /** True = read on. False = stop reading until `resume` is called, or the pipe was ended by `over`. */
  spend(bytes: number): boolean
  close(): void
}

export interface MeterEvents {
  readonly resume: () => void
  /** The day's bytes are used up; called at most once. */
  readonly over: (why: string) => void
}

/** How often paused directions are looked at. 1,000 pipes at 100 kB/s were held within 1.6 % by this. */
const TICK_MS = 25
/** Peers whose use of the day is remembered. */
const MAX_PEERS = 50_000

/** One account that several pipes draw on. */
interface Account {
  readonly name: string
  allowance: Allowance
  meters: number
}

/**
 * The byte quotas. Every peer pays for what it sends, so that nobody can use up another's share. Time is looked at only
 * while something is paused: one tick over the paused directions, none when there are none.
 */
export class Traffic {
  readonly #clock: Clock
  readonly #perPeer: () => TrafficLimits
  readonly #inAll: () => TrafficLimits
  readonly #accounts = new Map<PeerId, Account>()
  readonly #all: Account
  readonly #paused = new Map<() => void, readonly Account[]>()
  #tick: Timer | undefined
  /** Bytes that went through pipes since the start. */
  bytes = 0

  constructor(clock: Clock, perPeer: () => TrafficLimits, inAll: () => TrafficLimits) {
    this.#clock = clock
    this.#perPeer = perPeer
    this.#inAll = inAll
    this.#all = { name: 'all', allowance: newAllowance(inAll(), clock.now()), meters: 0 }
  }

  get paused(): number {
    return this.#paused.size
  }

  /** Why this peer may not open another pipe today, if so. */
  refusal(peer: PeerId): string | undefined {
    const now = this.#clock.now()
    const account = this.#accounts.get(peer)
    if (account && isOverDay(account.allowance, this.#perPeer(), now)) return 'daily bytes of the peer used up'
    return isOverDay(this.#all.allowance, this.#inAll(), now) ? 'daily bytes of the relay used up' : undefined
  }

  meter(sender: PeerId, events: MeterEvents): Meter {
    const account = this.#accountOf(sender)
    account.meters++
    const accounts = [account, this.#all] as const
    let open = true
    return {
      spend: bytes => {
        this.bytes += bytes
        const now = this.#clock.now()
        account.allowance = spend(account.allowance, this.#perPeer(), bytes, now)
        this.#all.allowance = spend(this.#all.allowance, this.#inAll(), bytes, now)
        const verdict = this.#verdict(accounts, now)
        if (verdict === 'go') return true
        if (verdict === 'wait') this.#pause(events.resume, accounts)
        else if (open) events.over(`${verdict.over} sent its bytes of the day`)
        return false
      },
      close: () => {
        if (!open) return
        open = false
        account.meters--
        this.#paused.delete(events.resume)
      },
    }
  }

  stop(): void {
    this.#tick?.cancel()
    this.#tick = undefined
    this.#paused.clear()
  }

  #verdict(accounts: readonly Account[], now: number): 'go' | 'wait' | { readonly over: string } {
    let result: 'go' | 'wait' = 'go'
    for (const account of accounts) {
      const limits = account === this.#all ? this.#inAll() : this.#perPeer()
      const verdict = verdictOf(account.allowance, limits, now)
      if (verdict === 'over') return { over: account.name }
      if (verdict === 'wait') result = 'wait'
    }
    return result
  }

  #pause(resume: () => void, accounts: readonly Account[]): void {
    this.#paused.set(resume, accounts)
    this.#tick ??= this.#clock.every(TICK_MS, () => this.#resumeReady())
  }

  #resumeReady(): void {
    const now = this.#clock.now()
    for (const [resume, accounts] of this.#paused) {
      if (this.#verdict(accounts, now) === 'wait') continue
      this.#paused.delete(resume)
      resume()
    }
    if (this.#paused.size > 0) return
    this.#tick?.cancel()
    this.#tick = undefined
  }

  #accountOf(peer: PeerId): Account {
    const found = this.#accounts.get(peer)
    if (found) return found
    if (this.#accounts.size >= MAX_PEERS) this.#forgetOne()
    const account = {
      name: `peer ${peer.slice(0, 10)}`,
      allowance: newAllowance(this.#perPeer(), this.#clock.now()),
      meters: 0,
    }
    this.#accounts.set(peer, account)
    return account
  }

  /** Drops an idle account, if possible one that owes nothing; looks at a few only, since this runs on every call. */
  #forgetOne(): void {
    const now = this.#clock.now()
    const limits = this.#perPeer()
    let idle: PeerId | undefined
    let looked = 0
    for (const [peer, account] of this.#accounts) {
      if (looked++ === 64) break
      if (account.meters > 0) continue
      idle ??= peer
      if (isFresh(account.allowance, limits, now)) {
        idle = peer
        break
      }
    }
    if (idle !== undefined) this.#accounts.delete(idle)
  }
}

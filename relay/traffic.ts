import type { Clock, Timer } from '../common/platform/clock.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import { type Account, Accounts, newAccount } from './accounts.ts'
import { isOverDay, spend, type TrafficLimits, verdictOf } from './allowance.ts'

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
/** Peers, and addresses, whose use of the day is remembered. */
const MAX_ACCOUNTS = 50_000
/** What all identities of one address may use together, in shares of one peer. */
const SHARES_PER_ADDRESS = 4

/**
 * The byte quotas. Every peer pays for what it sends, so that nobody can use up another's share; where identities cost
 * nothing, its address pays too. Time is looked at only while something is paused: one tick over the paused directions,
 * none when there are none.
 */
export class Traffic {
  readonly #clock: Clock
  readonly #peers: Accounts
  readonly #addresses: Accounts
  readonly #all: Account
  readonly #paused = new Map<() => void, readonly Account[]>()
  #tick: Timer | undefined
  /** Bytes that went through pipes since the start. */
  bytes = 0

  constructor(clock: Clock, perPeer: () => TrafficLimits, inAll: () => TrafficLimits) {
    this.#clock = clock
    const perAddress = () => {
      const { bytesPerSecond, bytesPerDay } = perPeer()
      return { bytesPerSecond: shares(bytesPerSecond), bytesPerDay: shares(bytesPerDay) }
    }
    this.#peers = new Accounts(clock, perPeer, MAX_ACCOUNTS)
    this.#addresses = new Accounts(clock, perAddress, MAX_ACCOUNTS)
    this.#all = newAccount('all', inAll, clock.now())
  }

  get paused(): number {
    return this.#paused.size
  }

  /** Why this peer may not open another pipe today, if so. */
  refusal(peer: PeerId): string | undefined {
    const now = this.#clock.now()
    const isOver = (account: Account) => isOverDay(account.allowance, account.limits(), now)
    const account = this.#peers.find(peer)
    if (account && isOver(account)) return 'daily bytes of the peer used up'
    return isOver(this.#all) ? 'daily bytes of the relay used up' : undefined
  }

  /** `address`: the key of the address that pays as well (see `addressKey`), if one does. */
  meter(sender: PeerId, events: MeterEvents, address?: string): Meter {
    const accounts = [this.#peers.of(sender, `peer ${sender.slice(0, 10)}`), this.#all]
    if (address !== undefined) accounts.push(this.#addresses.of(address, `address ${address}`))
    for (const account of accounts) account.meters++
    let open = true
    return {
      spend: bytes => {
        this.bytes += bytes
        const now = this.#clock.now()
        for (const account of accounts) account.allowance = spend(account.allowance, account.limits(), bytes, now)
        const verdict = verdictOfAll(accounts, now)
        if (verdict === 'go') return true
        if (verdict === 'wait') this.#pause(events.resume, accounts)
        else if (open) events.over(`${verdict.over} sent its bytes of the day`)
        return false
      },
      close: () => {
        if (!open) return
        open = false
        for (const account of accounts) account.meters--
        this.#paused.delete(events.resume)
      },
    }
  }

  stop(): void {
    this.#tick?.cancel()
    this.#tick = undefined
    this.#paused.clear()
  }

  #pause(resume: () => void, accounts: readonly Account[]): void {
    this.#paused.set(resume, accounts)
    this.#tick ??= this.#clock.every(TICK_MS, () => this.#resumeReady())
  }

  #resumeReady(): void {
    const now = this.#clock.now()
    for (const [resume, accounts] of this.#paused) {
      if (verdictOfAll(accounts, now) === 'wait') continue
      this.#paused.delete(resume)
      resume()
    }
    if (this.#paused.size > 0) return
    this.#tick?.cancel()
    this.#tick = undefined
  }
}

const shares = (amount: number | null) => (amount === null ? null : amount * SHARES_PER_ADDRESS)

function verdictOfAll(accounts: readonly Account[], now: number): 'go' | 'wait' | { readonly over: string } {
  let result: 'go' | 'wait' = 'go'
  for (const { allowance, limits, name } of accounts) {
    const verdict = verdictOf(allowance, limits(), now)
    if (verdict === 'over') return { over: name }
    if (verdict === 'wait') result = 'wait'
  }
  return result
}

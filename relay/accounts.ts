import type { Clock } from '../common/platform/clock.ts'
import { type Allowance, isFresh, newAllowance, type TrafficLimits } from './allowance.ts'

/** One account that several pipes draw on. */
export interface Account {
  readonly name: string
  readonly limits: () => TrafficLimits
  allowance: Allowance
  /** Open meters; an account that has some is not forgotten. */
  meters: number
}

export function newAccount(name: string, limits: () => TrafficLimits, now: number): Account {
  return { name, limits, allowance: newAllowance(limits(), now), meters: 0 }
}

/** Accounts by key, of which a bounded number is remembered. */
export class Accounts {
  readonly #clock: Clock
  readonly #limits: () => TrafficLimits
  readonly #size: number
  readonly #accounts = new Map<string, Account>()

  constructor(clock: Clock, limits: () => TrafficLimits, size: number) {
    this.#clock = clock
    this.#limits = limits
    this.#size = size
  }

  find(key: string): Account | undefined {
    return this.#accounts.get(key)
  }

  /** The account of this key, new and called `name` when there is none. */
  of(key: string, name: string): Account {
    const found = this.#accounts.get(key)
    if (found) return found
    if (this.#accounts.size >= this.#size) this.#forgetOne()
    const account = newAccount(name, this.#limits, this.#clock.now())
    this.#accounts.set(key, account)
    return account
  }

  /** Drops an idle account, if possible one that owes nothing; looks at a few only, since this runs on every call. */
  #forgetOne(): void {
    const now = this.#clock.now()
    const limits = this.#limits()
    let idle: string | undefined
    let looked = 0
    for (const [key, account] of this.#accounts) {
      if (looked++ === 64) break
      if (account.meters > 0) continue
      idle ??= key
      if (isFresh(account.allowance, limits, now)) {
        idle = key
        break
      }
    }
    if (idle !== undefined) this.#accounts.delete(idle)
  }
}

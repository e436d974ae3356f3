import type { Contender } from './contender.ts'
import type { Entry } from './contenders.ts'
import { nextOrder } from './statistics.ts'
import type { Rate, Timing } from './traffic.ts'
import { within } from './within.ts'

const ROUNDS = 3
const STARTS_AT_ONCE = 3
const START_MS = 30_000
const TURN_MS = 30_000

export interface Turn {
  readonly rate: Rate
  readonly roundTripMs: number
  /** The path that it took, where there are several. */
  readonly path: string | undefined
}

/** What became of one entry; `failed` says why there are no (more) turns of it. */
export interface Standing {
  readonly name: string
  readonly turns: readonly Turn[]
  readonly memoryMb: number
  readonly failed: string | undefined
}

export interface Rules {
  readonly timing: Timing
  readonly echoes: number
  /** Bulk before the first turn, for who has to find out about the line. */
  readonly learnMs: number
}

/** Lets all entries take turns; one that fails, or takes too long, is out and disturbs nobody else's figures. */
export async function contest(entries: readonly Entry[], rules: Rules): Promise<readonly Standing[]> {
  const all = entries.map(entry => new Competitor(entry))
  for (let i = 0; i < all.length; i += STARTS_AT_ONCE) {
    await Promise.all(all.slice(i, i + STARTS_AT_ONCE).map(one => one.start()))
  }
  await all[0]?.learn(rules)
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of nextOrder(all, round)) await one.take(round, rules)
  }
  return all.map(one => one.standing())
}

class Competitor {
  readonly #entry: Entry
  readonly #turns: Turn[] = []
  #contender: Contender | undefined
  #failed: string | undefined

  constructor(entry: Entry) {
    this.#entry = entry
  }

  async start(): Promise<void> {
    await this.#try(START_MS, async () => {
      this.#contender = await this.#entry.start()
    })
  }

  async learn({ timing, learnMs }: Rules): Promise<void> {
    if (learnMs === 0) return
    await this.#try(TURN_MS, async () => {
      await this.#contender?.bulk({ ...timing, warmUpMs: learnMs })
    })
  }

  async take(round: number, { timing, echoes }: Rules): Promise<void> {
    const contender = this.#contender
    // Two turns are the first and the last one, to be as far apart as possible.
    const isMine = round === 0 || (round === ROUNDS - 1 ? this.#entry.turns > 1 : this.#entry.turns === ROUNDS)
    if (!contender || this.#failed !== undefined || !isMine) return
    await this.#try(TURN_MS, async () => {
      const roundTripMs = await contender.roundTrip(echoes)
      const rate = await contender.bulk(timing)
      this.#turns.push({ roundTripMs, rate, path: await contender.path?.() })
    })
  }

  standing(): Standing {
    const [turns, failed] = [this.#turns, this.#failed]
    return { name: this.#entry.name, turns, failed, memoryMb: turns.length > 0 ? this.#memory() : Number.NaN }
  }

  #memory(): number {
    try {
      return this.#contender?.peakMemory() ?? Number.NaN
    } catch {
      // A process that has ended.
      return Number.NaN
    }
  }

  async #try(limitMs: number, what: () => Promise<void>): Promise<void> {
    try {
      await within(limitMs, what())
    } catch (thrown) {
      this.#failed = thrown instanceof Error ? thrown.message : String(thrown)
    }
  }
}

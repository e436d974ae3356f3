import { peakRss } from './process-cost.ts'
import { nothing, numbersOf } from './program.ts'
import { median } from './statistics.ts'
import { type Carrier, measureRate, type Rate, type Timing } from './traffic.ts'

/** Something that carries bytes from one site to another, ready to be measured as often as it is its turn. */
export interface Contender {
  /** Bytes up, in one stream. */
  bulk(timing: Timing): Promise<Rate>
  /** Milliseconds of an idle round trip of 64 bytes, p50 of so many. */
  roundTrip(count: number): Promise<number>
  /** The path that it takes now, if it has the choice. */
  path?(): Promise<string | undefined>
  /** The most memory that one of its processes ever had, in MB. */
  peakMemory(): number
}

export function contenderOf(carrier: Carrier): Contender {
  const { near, start, pids } = carrier
  const echo = async (count: number) => median(await near.ask('echo', { ...start, count }, numbersOf))
  return {
    async bulk(timing) {
      try {
        return await measureRate(carrier, 'up', 1, timing)
      } finally {
        // What is on its way must not meet the next contender; an echo comes after it.
        await near.ask('stop', {}, nothing)
        await echo(1)
      }
    },
    roundTrip: echo,
    peakMemory: () => Math.max(...pids.map(peakRss)),
  }
}

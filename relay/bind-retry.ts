import { CulvertError } from '../common/errors.ts'
import { type Clock, pause } from '../common/platform/clock.ts'

const PAUSE_MS = 100

/** Opens something that listens; while its port is in use, as by a previous process that is just ending, tries again. */
export async function retryWhileInUse<T>(clock: Clock, forMs: number, open: () => Promise<T>): Promise<T> {
  const until = clock.now() + forMs
  for (;;) {
    try {
      return await open()
    } catch (thrown) {
      const inUse = thrown instanceof CulvertError && thrown.code === 'port-in-use'
      if (!inUse || clock.now() >= until) throw thrown
      await pause(clock, PAUSE_MS)
    }
  }
}

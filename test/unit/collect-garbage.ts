import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')

/** Bytes that are in use on the heap and in buffers, after all garbage was collected. */
export function liveBytes(): number {
  // The first run leaves freed buffers to a background thread, which the second waits for.
  for (let run = 0; run < 2; run++) if (typeof collect === 'function') collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Collects all garbage, also what a `WeakRef` gave out before: that lives until the present turn of the event loop ends. */
export async function collectGarbage(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
  if (typeof collect === 'function') collect()
}

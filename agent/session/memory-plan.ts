/** What streams may hold, by the memory that the agent may use. */
export interface MemoryPlan {
  /** What the windows of all streams may promise beyond their first. */
  readonly windowBytes: number
  /** What one session may have sent that was not acknowledged. */
  readonly unacknowledgedBytes: number
  /** The part of the usual buffers that is kept while nobody uses them. */
  readonly keptBuffers: number
}

const MIB = 1024 * 1024
/** With so much, or more, nothing has to be spared. */
const ENOUGH_BYTES = 256 * MIB
/** Program, heap and a first window for each of some streams: there is nothing to share out below. */
const LEAST_BYTES = 96 * MIB

/** From a quarter of the usual at 256 MiB down to an eighth of that: what flows stands in buffers of the kernel, too. */
export function memoryPlan(limitBytes: number): MemoryPlan {
  if (limitBytes >= ENOUGH_BYTES) return { windowBytes: 64 * MIB, unacknowledgedBytes: 16 * MIB, keptBuffers: 1 }
  const share = Math.max(1 / 8, (limitBytes - LEAST_BYTES) / (ENOUGH_BYTES - LEAST_BYTES))
  return {
    windowBytes: Math.round(16 * MIB * share),
    unacknowledgedBytes: Math.round(4 * MIB * share),
    keptBuffers: share / 4,
  }
}

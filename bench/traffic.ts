import { cpuSeconds } from './process-cost.ts'
import { fieldsOf, nothing, type Program } from './program.ts'

/** How long bytes flow before they count, for windows grow and queues fill; and how long they count. */
export interface Timing {
  readonly warmUpMs: number
  readonly windowMs: number
}

const SHORT: Timing = { warmUpMs: 400, windowMs: 1_200 }

export type Direction = 'up' | 'down'

/** What carries bulk bytes from one program to another. */
export interface Carrier {
  /** The two ends: `near` opens the streams, `far` takes them. */
  readonly near: Program
  readonly far: Program
  /** What `near` is told to start. */
  readonly start: Readonly<Record<string, unknown>>
  /** The processes in between, whose processor time counts. */
  readonly pids: readonly number[]
}

export interface Rate {
  readonly mbps: number
  readonly cpuPerGb: number
  /** Of each process in the order of `pids`. */
  readonly cpuPerGbEach: readonly number[]
}

/** Keeps streams busy for a moment; counts what arrives in a window within it, and what that cost. */
export async function measureRate(
  carrier: Carrier,
  direction: Direction,
  streams: number,
  timing: Timing = SHORT,
): Promise<Rate> {
  const { near, far, pids } = carrier
  const receiver = direction === 'up' ? far : near
  await near.ask('start', { ...carrier.start, mode: direction, streams }, nothing)
  await pause(timing.warmUpMs)
  const before = { ...(await count(receiver)), cpu: pids.map(cpuSeconds) }
  await pause(timing.windowMs)
  const after = { ...(await count(receiver)), cpu: pids.map(cpuSeconds) }
  await Promise.all([near.ask('stop', {}, nothing), far.ask('stop', {}, nothing)])
  await quiet(receiver)
  const bytes = after.bytes - before.bytes
  const cpuPerGbEach = after.cpu.map((seconds, i) => (seconds - (before.cpu[i] ?? 0)) / (bytes / 1e9))
  const cpuPerGb = cpuPerGbEach.reduce((sum, one) => sum + one, 0)
  return { mbps: (bytes * 8) / 1000 / (after.at - before.at), cpuPerGb, cpuPerGbEach }
}

/** What is still under way must not count for the next carrier. */
async function quiet(receiver: Program): Promise<void> {
  for (let last = -1; ; await pause(50)) {
    const { bytes } = await count(receiver)
    if (bytes === last) return
    last = bytes
  }
}

function count(program: Program): Promise<{ readonly bytes: number; readonly at: number }> {
  return program.ask('count', {}, answer => {
    const { bytes, at } = fieldsOf(answer)
    return { bytes: Number(bytes), at: Number(at) }
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

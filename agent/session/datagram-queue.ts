import { datagramSize, writeDatagram } from '../../common/wire/datagram.ts'
import { FRAME_HEADER_BYTES, MAX_FRAME_PAYLOAD } from '../../common/wire/session-frame.ts'
import { batchBuffers } from './buffers.ts'

/** Of all flows of a session: four of the largest datagrams, or two milliseconds at a Gbit/s. */
export const MAX_QUEUED_BYTES = 256 * 1024
/** What a datagram costs beside its bytes, so that a flood of empty ones is bounded too. */
const ENTRY_COST_BYTES = 128
/** A path that takes nothing for so long is no path for them: a game or a call wants the newest, DNS asks again. */
const WAIT_MS = 250
/** While a direct path is on its way, which is worth more than being early. */
const HELD_WAIT_MS = 2_000
/** At most half of what a stream's batch has, so that streams keep two thirds of a path that both want whole. */
const WRITE_BYTES = 64 * 1024
/** From here on a buffer of the pool is worth it. */
const POOLED_BYTES = 16 * 1024
const FRAME_BYTES = FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD

interface Entry {
  readonly bytes: Buffer
  readonly at: number
}

interface FlowQueue {
  readonly entries: Entry[]
  cost: number
}

/** What the next write carries. */
export interface DatagramWrite {
  /** Whole frames; to be given back to the pool of batches when they are written. */
  readonly frames: Buffer
  readonly datagrams: number
  /** Of the datagrams themselves. */
  readonly dataBytes: number
}

/**
 * Datagrams that wait for the path to take its next write. Flows take turns, and what does not fit costs the flow that
 * has most: a flood drops its own datagrams, the oldest first.
 */
export class DatagramQueue {
  /** In the order of their turns. */
  readonly #flows = new Map<number, FlowQueue>()
  #cost = 0
  #dropped = 0
  #held = false
  /** When datagrams were last held. */
  #heldUntil = Number.NEGATIVE_INFINITY
  #lastMessage = 0

  get empty(): boolean {
    return this.#flows.size === 0
  }

  get cost(): number {
    return this.#cost
  }

  get dropped(): number {
    return this.#dropped
  }

  /** The number of the next datagram of this session: that of its parts. */
  nextMessage(): number {
    this.#lastMessage = (this.#lastMessage + 1) & 0xffff
    return this.#lastMessage
  }

  push(flow: number, bytes: Buffer, now: number): void {
    const queue = this.#flows.get(flow) ?? { entries: [], cost: 0 }
    this.#flows.set(flow, queue)
    queue.entries.push({ bytes, at: now })
    this.#count(queue, bytes.length + ENTRY_COST_BYTES)
    while (this.#cost > MAX_QUEUED_BYTES) this.#dropOf(this.#largest())
  }

  /** The next datagrams, flow by flow; those that waited too long are left out. */
  next(now: number, held: boolean): DatagramWrite | undefined {
    // Also at the first look after a hold: what waited for that comes right behind it.
    if (held || this.#held) this.#heldUntil = now
    this.#held = held
    this.#dropStale(now)
    if (held || this.empty) return undefined
    const chosen: Array<readonly [flow: number, bytes: Buffer]> = []
    let size = 0
    for (const [flow, queue] of this.#flows) {
      const [entry] = queue.entries
      if (!entry) continue
      const { bytes } = datagramSize(entry.bytes.length, FRAME_BYTES)
      if (chosen.length > 0 && size + bytes > WRITE_BYTES) break
      size += bytes
      chosen.push([flow, entry.bytes])
      this.#shift(flow, queue)
      // Back to the end of the line; a `for` over a Map meets it there again.
      this.#flows.delete(flow)
      if (queue.entries.length > 0) this.#flows.set(flow, queue)
    }
    return this.#written(chosen, size)
  }

  forget(flow: number): void {
    const queue = this.#flows.get(flow)
    if (!queue) return
    this.#cost -= queue.cost
    this.#flows.delete(flow)
  }

  #written(chosen: ReadonlyArray<readonly [number, Buffer]>, size: number): DatagramWrite {
    const frames = size >= POOLED_BYTES ? batchBuffers.take() : Buffer.allocUnsafe(size)
    let at = 0
    let dataBytes = 0
    for (const [flow, bytes] of chosen) {
      at = writeDatagram(frames, at, flow, this.nextMessage(), bytes)
      dataBytes += bytes.length
    }
    return { frames: frames.subarray(0, at), datagrams: chosen.length, dataBytes }
  }

  #dropStale(now: number): void {
    const before = now - (now - this.#heldUntil < WAIT_MS ? HELD_WAIT_MS : WAIT_MS)
    for (const [flow, queue] of this.#flows) {
      while (queue.entries[0] && queue.entries[0].at < before) {
        this.#shift(flow, queue)
        this.#dropped++
      }
    }
  }

  #dropOf([flow, queue]: readonly [number, FlowQueue]): void {
    this.#shift(flow, queue)
    this.#dropped++
  }

  #largest(): readonly [number, FlowQueue] {
    let largest: readonly [number, FlowQueue] = [0, { entries: [], cost: -1 }]
    for (const entry of this.#flows) if (entry[1].cost > largest[1].cost) largest = entry
    return largest
  }

  #shift(flow: number, queue: FlowQueue): void {
    const entry = queue.entries.shift()
    if (!entry) return
    this.#count(queue, -(entry.bytes.length + ENTRY_COST_BYTES))
    if (queue.entries.length === 0) this.#flows.delete(flow)
  }

  #count(queue: FlowQueue, cost: number): void {
    queue.cost += cost
    this.#cost += cost
  }
}

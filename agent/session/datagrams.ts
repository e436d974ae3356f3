import { decodeDatagram } from '../../common/wire/datagram.ts'
import type { Frame } from '../../common/wire/session-frame.ts'
import { DatagramQueue, type DatagramWrite } from './datagram-queue.ts'
import { Reassembly } from './reassembly.ts'
import type { SessionStream } from './stream.ts'
import { NO_TRAFFIC, type Traffic } from './traffic.ts'

/** The datagrams of one session, both ways: never sent again, and dropped rather than kept. */
export class Datagrams {
  readonly #queue = new DatagramQueue()
  readonly #reassembly = new Reassembly()
  #in = 0
  #out = 0
  #bytesIn = 0
  #bytesOut = 0
  #droppedElsewhere = 0

  get traffic(): Traffic {
    return {
      ...NO_TRAFFIC,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      datagramsIn: this.#in,
      datagramsOut: this.#out,
      datagramsDropped: this.#queue.dropped + this.#reassembly.dropped + this.#droppedElsewhere,
    }
  }

  get waiting(): boolean {
    return !this.#queue.empty
  }

  push(flow: number, bytes: Buffer, now: number): void {
    this.#queue.push(flow, bytes, now)
  }

  /** What the path takes next. While `held`, datagrams wait for a direct path. */
  next(now: number, held: boolean): DatagramWrite | undefined {
    const write = this.#queue.next(now, held)
    if (!write) return undefined
    this.#out += write.datagrams
    this.#bytesOut += write.dataBytes
    return write
  }

  /** A frame for a flow; one for a flow that is not open, or not yet, is as good as lost. Throws `wire-malformed`. */
  receive(flow: SessionStream | undefined, frame: Frame, now: number): void {
    const part = decodeDatagram(frame)
    const handler = flow?.onDatagram
    if (!handler) return
    // A copy: the frame lies in a buffer that is read into again, and the local socket may keep what it sends.
    const whole = Buffer.isBuffer(part) ? Buffer.from(part) : this.#reassembly.add(frame.stream, part, now)
    if (!whole) return
    this.#in++
    this.#bytesIn += whole.length
    handler(whole)
  }

  /** Somebody else gave one up. */
  drop(): void {
    this.#droppedElsewhere++
  }

  forget(flow: number): void {
    this.#queue.forget(flow)
    this.#reassembly.forget(flow)
  }
}

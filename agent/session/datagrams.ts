import { decodeDatagram } from '../../common/wire/datagram.ts'
import type { Frame } from '../../common/wire/session-frame.ts'
import { DatagramQueue, type DatagramWrite } from './datagram-queue.ts'
import type { PacketCarrier } from './packet-carrier.ts'
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

  /** In packets where the path has them; else with the path's next write. */
  send(flow: number, bytes: Buffer, packets: PacketCarrier | undefined, now: number): void {
    if (!packets) {
      this.#queue.push(flow, bytes, now)
      return
    }
    if (!packets.send(flow, this.#queue.nextMessage(), bytes)) {
      this.#droppedElsewhere++
      return
    }
    this.#out++
    this.#bytesOut += bytes.length
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

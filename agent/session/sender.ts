import type { Clock } from '../../common/platform/clock.ts'
import type { Acknowledger } from './acknowledger.ts'
import type { Datagrams } from './datagrams.ts'
import { Outbox } from './outbox.ts'
import type { PathLink } from './path-link.ts'
import { type Batch, SendQueue } from './send-queue.ts'
import type { SessionStream } from './stream.ts'

/** So much of it makes a stream a long one. */
const BACKLOG_BYTES = 256 * 1024

export interface SenderEvents {
  /** After so much nothing new is sent. */
  readonly unacknowledgedBytes: number
  /** What waited on the path before has arrived, and another one is in use. */
  onMoved(): void
  /** Told once, until `watchBacklog`. */
  onBacklog(): void
}

/** The sending side of a session: what waits, what the peer has not acknowledged, and the path that carries it. */
export class Sender {
  readonly #clock: Clock
  readonly #acknowledger: Acknowledger
  readonly #datagrams: Datagrams
  readonly #outbox = new Outbox()
  #queue = new SendQueue()
  #link: PathLink | undefined
  /** What the peer sent last came over it. */
  #heardOn: PathLink | undefined
  /** The path that we go over to when all before this batch has arrived. */
  #next: { readonly link: PathLink; readonly from: number } | undefined
  #backlogTold = false
  readonly #events: SenderEvents
  #hold = false
  #pumpDue: NodeJS.Immediate | undefined
  #bytesOut = 0

  constructor(clock: Clock, acknowledger: Acknowledger, datagrams: Datagrams, events: SenderEvents) {
    this.#clock = clock
    this.#acknowledger = acknowledger
    this.#datagrams = datagrams
    this.#events = events
  }

  /** The path that carries what we send. */
  get link(): PathLink | undefined {
    return this.#link
  }

  /** The path that we go over to. */
  get next(): PathLink | undefined {
    return this.#next?.link
  }

  set heardOn(link: PathLink) {
    this.#heardOn = link
  }

  /**
   * What carries acknowledgements: each path shows by answers of its own that it works, and the peer may have chosen
   * another one than we.
   */
  get ackLink(): PathLink | undefined {
    return this.#heardOn?.ready ? this.#heardOn : this.#link
  }

  /** Bytes of streams, each counted once. */
  get bytesOut(): number {
    return this.#bytesOut
  }

  /** Sent, and not known to have arrived. */
  get unacknowledgedBytes(): number {
    return this.#queue.bytes
  }

  get controlCount(): number {
    return this.#outbox.controlCount
  }

  /** While held, user bytes wait for a direct path instead of going over a relay. */
  set hold(hold: boolean) {
    if (this.#hold === hold) return
    this.#hold = hold
    this.schedule()
  }

  /** Goes over to another path; there, what the peer has not acknowledged goes again. */
  use(link: PathLink | undefined): void {
    this.#next = undefined
    this.#link = link
    if (link) link.cursor = this.#queue.headOrdinal
  }

  /** Goes over to another path as soon as what is under way has arrived; meanwhile no user byte is sent. */
  handOver(link: PathLink): void {
    this.#next = { link, from: this.#queue.nextOrdinal }
    this.#finishHandOver()
  }

  /** Goes over to no other path. */
  stay(): void {
    this.#next = undefined
  }

  watchBacklog(): void {
    this.#backlogTold = false
  }

  control(frame: Buffer): void {
    this.#outbox.control(frame)
    this.schedule()
  }

  ready(stream: SessionStream): void {
    this.#outbox.ready(stream)
    this.schedule()
  }

  remove(stream: SessionStream): void {
    this.#outbox.remove(stream)
  }

  /** Throws `wire-malformed` when that is more than was ever sent. */
  acknowledge(received: number): void {
    this.#queue.acknowledge(received)
    this.#finishHandOver()
    this.schedule()
  }

  /** The peer has lost all of it. */
  restart(): void {
    this.#outbox.clear()
    this.#queue = new SendQueue()
    this.#next = undefined
    if (this.#link) this.#link.cursor = this.#queue.headOrdinal
  }

  /**
   * Many small events of one turn of the event loop become one write; but the first goes at once when it is little, for it
   * may be all that somebody waits for.
   */
  schedule(): void {
    if (this.#pumpDue) return
    this.#pumpDue = setImmediate(() => {
      this.#pumpDue = undefined
      this.pump()
    })
    if (this.#outbox.isSmall) process.nextTick(() => this.#outbox.isSmall && this.pump())
  }

  pump(): void {
    const { ackLink } = this
    // Behind what waits already it would only pile up with a peer that does not read; each write's end comes back here.
    if (this.#acknowledger.due && ackLink?.writable) ackLink.writeAck(this.#acknowledger.take())
    const link = this.#link
    if (!link) return
    while (link.writable) {
      const batch = this.#nextBatch(link)
      if (batch) {
        link.writeBatch(batch)
        link.cursor = batch.ordinal + 1
      }
      // Behind the batch, which may open their flow.
      const datagrams = this.#datagrams.next(this.#clock.now(), this.#hold && link.kind === 'relay')
      if (datagrams) link.writeDatagrams(datagrams)
      if (!batch && !datagrams) return
    }
  }

  /** What is to be sent again on this link first, then what is new. */
  #nextBatch(link: PathLink): Batch | undefined {
    if (link.cursor < this.#queue.headOrdinal) link.cursor = this.#queue.headOrdinal
    const again = this.#queue.at(link.cursor)
    if (again) return again
    if (this.#queue.bytes >= this.#events.unacknowledgedBytes) return undefined
    const fresh = this.#outbox.next(this.#next !== undefined || (this.#hold && link.kind === 'relay'))
    if (!fresh) return undefined
    this.#bytesOut += fresh.dataBytes
    const batch = this.#queue.push(fresh.bytes, fresh.frames, fresh.dataBytes)
    if (this.#queue.bytes >= BACKLOG_BYTES && !this.#backlogTold) {
      this.#backlogTold = true
      this.#events.onBacklog()
    }
    return batch
  }

  #finishHandOver(): void {
    if (!this.#next || this.#queue.headOrdinal < this.#next.from) return
    this.use(this.#next.link)
    this.#events.onMoved()
  }
}

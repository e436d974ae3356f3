import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { noteTraffic } from '../../common/platform/engine.ts'
import {
  decodeOpen,
  encodeFrame,
  encodeOpen,
  encodeReset,
  FRAME,
  type Frame,
  type Hello,
  type StreamKind,
} from '../../common/wire/session-frame.ts'
import type { Path } from '../path/path.ts'
import { Acknowledger } from './acknowledger.ts'
import { emptyBuffers } from './buffers.ts'
import { Datagrams } from './datagrams.ts'
import { Epochs } from './epochs.ts'
import { Farewell } from './farewell.ts'
import { paceOf } from './heartbeat.ts'
import { LinkSet } from './link-set.ts'
import { PeerLife } from './newcomer.ts'
import { PathLink } from './path-link.ts'
import { Sender } from './sender.ts'
import type { LostPath, SessionOptions } from './session-events.ts'
import { receiveSignal, SignalSender } from './signal-frames.ts'
import { SessionStream } from './stream.ts'
import { receiveOnStream, STREAM_FRAMES } from './stream-frames.ts'
import { StreamOutlet } from './stream-outlet.ts'
import { MAX_STREAMS, StreamTable } from './stream-table.ts'
import { addTraffic, type Traffic } from './traffic.ts'

/** Control frames waiting; a peer that makes us queue more than this is not reading. */
const MAX_CONTROL_FRAMES = 16 * MAX_STREAMS

/**
 * What two peers share: streams in numbered frames, over one path at a time, outliving paths.
 *
 * Every path is ordered and reliable, and each frame is kept until the peer acknowledges it. So moving to another path
 * is to send there, again, everything not acknowledged; the receiver drops what it has already seen.
 */
export class Session {
  readonly #clock: Clock
  readonly signals = new SignalSender(frame => this.#control(frame))
  readonly #options: SessionOptions
  readonly #epochs: Epochs
  readonly #links = new LinkSet()
  readonly #acknowledger: Acknowledger
  readonly #sender: Sender
  readonly #streams: StreamTable
  readonly #datagrams = new Datagrams()
  readonly #outlet: StreamOutlet
  readonly #farewell = new Farewell()
  readonly #peerLife = new PeerLife()
  #closed = false
  #bytesIn = 0
  /** When the last stream ended, or somebody asked for a round trip. */
  #usedAt = Number.NEGATIVE_INFINITY

  constructor(options: SessionOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#epochs = new Epochs(options.random)
    this.#streams = new StreamTable(options.ownId < options.peerId)
    this.#acknowledger = new Acknowledger(options.clock, () => this.#sender.schedule())
    this.#sender = new Sender(options.clock, this.#acknowledger, this.#datagrams, {
      unacknowledgedBytes: options.budget.unacknowledgedBytes,
      onMoved: () => this.#onMoved(),
      onBacklog: () => options.events.onBacklog(),
    })
    this.#outlet = new StreamOutlet({
      clock: options.clock,
      budget: options.budget,
      sender: this.#sender,
      datagrams: this.#datagrams,
      streams: this.#streams,
      control: frame => this.#control(frame),
      onIdle: () => this.#busyChanged(),
    })
  }

  get links(): readonly PathLink[] {
    return this.#links.all
  }

  /** The path that carries what we send. */
  get active(): PathLink | undefined {
    return this.#sender.link
  }

  get streamCount(): number {
    return this.#streams.size
  }

  get traffic(): Traffic {
    const streams = { ...this.#links.relayTraffic, bytesIn: this.#bytesIn, bytesOut: this.#sender.bytesOut }
    return addTraffic(streams, this.#datagrams.traffic)
  }

  /** While held, user bytes wait for a direct path instead of going over a relay. */
  set hold(hold: boolean) {
    this.#sender.hold = hold
  }

  /** Takes a path into use as soon as the peer's hello came over it. One too many is closed. */
  attach(path: Path, dialled: boolean): PathLink | undefined {
    if (this.#closed || this.#links.full) {
      path.stream.destroy()
      return undefined
    }
    const pace = () => paceOf(this.#streams.size > 0, this.#clock.now() - this.#usedAt)
    const link = new PathLink(
      path,
      this.#clock,
      {
        onHello: (from, hello) => this.#onHello(from, hello),
        onSequenced: (from, seq, frame) => this.#onSequenced(from, seq, frame),
        onAck: (from, received) => this.#onAck(from, received),
        onDatagram: (_from, frame) => this.#onDatagram(frame),
        onWritable: from => {
          if (from === this.active || from === this.#sender.ackLink) this.#sender.pump()
        },
        onVital: () => this.#choose(),
        onDown: (from, reason) => this.#onDown({ link: from, reason }),
        onOver: () => this.#onOver(),
      },
      pace,
    )
    this.#links.add(link)
    if (path.datagrams) link.carryPackets(path.datagrams, this.#options.ownId < this.#options.peerId)
    link.sayHello(this.#epochs.hello(this.#acknowledger.received, dialled ? path.how : undefined))
    return link
  }

  /**
   * Opens a stream, or a flow of datagrams; it may be written to at once. Throws `busy` when too many are open, and
   * `service-unknown` for a name that no service can have.
   */
  openStream(service: string, kind: StreamKind = 'bytes'): SessionStream {
    if (this.#closed) throw new CulvertError('session-closed', 'the session is closed')
    if (this.#streams.full) {
      throw new CulvertError('busy', `${MAX_STREAMS} streams to this peer are open already`)
    }
    const id = this.#streams.nextOwnId()
    const open = encodeOpen(id, service, kind)
    const stream = new SessionStream(id, service, this.#outlet, kind)
    this.#farewell.takeBack()
    this.#add(stream)
    this.#control(open)
    return stream
  }

  /**
   * Sends on this path from now on, for as long as nobody has doubts about it; undefined: on the best by itself. What is
   * under way arrives first, so nothing is sent twice.
   */
  prefer(link: PathLink | undefined): void {
    if (link === this.#links.preferred) return
    this.#links.preferred = link
    const best = this.#links.best()
    const { active } = this
    const gently = active?.ready && !active.suspect
    if (gently && best && best !== active && best !== this.#sender.next) this.#sender.handOver(best)
    this.#choose()
  }

  get preferred(): PathLink | undefined {
    return this.#links.preferred
  }

  /** Calls `onBacklog` the next time that much waits for its acknowledgement. */
  watchBacklog(): void {
    this.#sender.watchBacklog()
  }

  /** How far what we send has come. */
  get sending(): { readonly bytesOut: number; readonly unacknowledgedBytes: number } {
    return this.#sender
  }

  /** Proposes to end the idle session; `onBye` follows when the peer agrees. */
  sendBye(): void {
    if (this.#streams.size > 0 || !this.#farewell.propose()) return
    this.#control(encodeFrame(FRAME.bye, 0))
  }

  /** The peer may end the session any moment: a new stream had better wait for the next one. */
  get leaving(): boolean {
    return this.#farewell.answered
  }

  /** One round trip over the path in use, in ms; undefined when there is none or it breaks. */
  async ping(): Promise<number | undefined> {
    return this.active?.ping()
  }

  /** Of the line, without the queue that we make ourselves. */
  lineRttMs(): number {
    return this.#outlet.lineRttMs()
  }

  /** The network is another one. */
  forgetLine(): void {
    this.#outlet.knownWindow.forget()
  }

  /** As it is now, smoothed. */
  get rttMs(): number {
    return this.active?.rttMs ?? 0
  }

  /** Closes links that are not needed; the session itself goes on. */
  drop(links: readonly PathLink[]): void {
    for (const link of links) {
      link.leave()
      this.#links.remove(link)
    }
    this.#choose()
  }

  /** Ends everything at once; streams fail with this reason. */
  close(reason: CulvertError): void {
    if (this.#closed) return
    this.#closed = true
    this.#endStreams(reason)
    this.#sender.pump()
    this.#acknowledger.stop()
    for (const link of this.links) link.leave('session')
    this.#links.clear()
    this.#sender.use(undefined)
  }

  #control(frame: Buffer): void {
    // Never dropped: a credit or an open that is lost hangs its stream. What is bounded is who makes us queue them.
    this.#sender.control(frame)
    if (this.#sender.controlCount > MAX_CONTROL_FRAMES) {
      for (const link of this.links) link.fail(new CulvertError('busy', 'the peer takes no frames'))
    }
  }

  // -- receiving

  #onHello(link: PathLink, hello: Hello): void {
    const verdict = this.#epochs.judge(hello)
    if (verdict === 'another' && this.#turnsAway(link)) return
    if (verdict !== 'same') this.#epochs.take(hello)
    if (verdict === 'another') this.#restart(link)
    const known = this.#epochs.isKnownTo(hello)
    const received = known ? hello.received : 0
    if (!known && this.#peerLife.hasForgotten(link)) {
      this.#options.events.onBye(new CulvertError('session-closed', 'the peer has forgotten this session'))
      return
    }
    if (known) this.#peerLife.knowsUs(this.#clock.now())
    this.#sender.acknowledge(received)
    // The peer may have made it because it misses answers on the others.
    for (const other of this.links) if (other !== link && other.ready) void other.ping()
    this.#choose()
  }

  /** Another process with the peer's key came, while the one that we know may still be there. */
  #turnsAway(link: PathLink): boolean {
    const verdict = this.#peerLife.judge(this.active, this.#clock.now())
    if (verdict === 'restarted') return false
    void this.ping()
    link.leave(verdict === 'clone' ? 'same-identity' : 'path')
    this.#links.remove(link)
    if (verdict === 'clone') this.#options.events.onClone(link)
    return true
  }

  /** The peer began anew: what was under way is lost, and both count from zero. */
  #restart(survivor: PathLink): void {
    this.#endStreams(new CulvertError('session-closed', 'the peer restarted'))
    this.#sender.restart()
    this.#acknowledger.restart()
    this.#streams.peerRestarted()
    this.#farewell.takeBack()
    for (const link of this.links) {
      if (link === survivor) continue
      link.leave()
      this.#links.remove(link)
    }
    this.#options.events.onRestart()
  }

  #onAck(link: PathLink, received: number): void {
    this.#sender.acknowledge(received)
    this.#peerLife.knowsUs(this.#clock.now())
    if (link === this.active && this.#sender.unacknowledgedBytes > 0) link.awaitAnswer()
  }

  #onDatagram(frame: Frame): void {
    this.#datagrams.receive(this.#streams.get(frame.stream), frame, this.#clock.now())
  }

  #onSequenced(from: PathLink, seq: number, frame: Frame): void {
    const { received } = this.#acknowledger
    this.#sender.heardOn = from
    if (seq > received) throw new CulvertError('wire-malformed', `frame ${seq} came when ${received} was due`)
    if (seq < received) {
      // Sent again after a move; the sender must learn that it can forget it.
      this.#acknowledger.repeat()
      return
    }
    this.#acknowledger.count(frame.payload.length)
    try {
      this.#dispatch(frame)
    } catch (thrown) {
      // The frame is counted and will not come again, so what it belonged to has a hole now and must not go on.
      if (STREAM_FRAMES.has(frame.type)) {
        this.#streams.get(frame.stream)?.reset('wire-malformed', 'the peer broke the rules of the protocol')
      }
      throw thrown
    }
  }

  #dispatch(frame: Frame): void {
    if (frame.type === FRAME.data) {
      this.#bytesIn += frame.payload.length
      noteTraffic()
    }
    if (STREAM_FRAMES.has(frame.type)) {
      const stream = this.#streams.get(frame.stream)
      if (stream) receiveOnStream(frame, stream)
    } else if (frame.type === FRAME.open) this.#onOpen(frame)
    else if (frame.type === FRAME.bye) this.#onBye()
    else receiveSignal(frame, this.#options.events)
  }

  #onOpen(frame: Frame): void {
    const { service, kind } = decodeOpen(frame.payload, frame.flags)
    this.#streams.openedByPeer(frame.stream)
    if (this.#streams.full) {
      this.#control(encodeReset(frame.stream, 'busy', `${MAX_STREAMS} streams are open already`))
      return
    }
    this.#farewell.takeBack()
    const stream = new SessionStream(frame.stream, service, this.#outlet, kind)
    this.#add(stream)
    this.#options.events.onStream(stream)
  }

  #onBye(): void {
    if (this.#streams.size > 0) return
    if (this.#farewell.receive() === 'over') this.#options.events.onBye()
    else this.#control(encodeFrame(FRAME.bye, 0))
  }

  #onOver(): void {
    if (this.#closed) return
    const over = new CulvertError('session-closed', 'the peer ended the session')
    this.#endStreams(over)
    this.#options.events.onBye(over)
  }

  // -- paths

  #onDown(lost: LostPath): void {
    this.#links.remove(lost.link)
    if (this.leaving && this.links.length === 0 && lost.reason.code === 'session-closed') this.#options.events.onBye()
    else this.#choose(lost)
  }

  /** Sends on the best path from now on; after a change, what the peer has not acknowledged goes again. */
  #choose(lost?: LostPath): void {
    if (this.#closed) return
    const best = this.#links.best()
    const { active } = this
    if (best === active) this.#sender.stay()
    else if (best !== this.#sender.next || !active?.ready || active.suspect) {
      this.#sender.use(best)
      if (best) this.#acknowledger.repeat()
    }
    this.#options.events.onPaths(lost)
    this.#sender.schedule()
  }

  /** All that was under way on the path before has arrived. */
  #onMoved(): void {
    this.#acknowledger.repeat()
    this.#choose()
  }

  #add(stream: SessionStream): void {
    this.#streams.add(stream)
    if (this.#streams.size === 1) this.#busyChanged()
  }

  /** Somebody uses the session beside its streams, and may do so again soon. */
  use(): void {
    this.#usedAt = this.#clock.now()
    for (const link of this.links) link.rearm()
  }

  #busyChanged(): void {
    this.#usedAt = this.#clock.now()
    for (const link of this.links) link.rearm()
    if (this.#streams.size === 0) emptyBuffers()
    this.#options.events.onBusy(this.#streams.size > 0)
  }

  #endStreams(reason: CulvertError): void {
    for (const stream of this.#streams.all()) stream.receiveReset(reason.code, reason.message)
  }
}

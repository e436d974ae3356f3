import { CulvertError, type ErrorCode } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { noteTraffic } from '../../common/platform/engine.ts'
import { sameBytes } from '../../common/wire/bytes.ts'
import { type Candidate, decodeCandidates, encodeCandidates } from '../../common/wire/candidate.ts'
import { decodeProbeSecret } from '../../common/wire/probe.ts'
import { decodePunch, encodePunch, type PunchSignal } from '../../common/wire/punch-signal.ts'
import {
  decodeCredit,
  decodeIce,
  decodeOpen,
  decodeReset,
  EPOCH_BYTES,
  encodeCredit,
  encodeFrame,
  encodeIce,
  encodeOpen,
  encodeReset,
  FRAME,
  type Frame,
  type Hello,
  type HelloHow,
  type IceSignal,
  SESSION_VERSION,
  type StreamKind,
} from '../../common/wire/session-frame.ts'
import { decodeSituation, encodeSituation, type Situation } from '../../common/wire/situation.ts'
import type { Path, PathTransport } from '../path/path.ts'
import { choosePath } from '../path/path-choice.ts'
import { Acknowledger } from './acknowledger.ts'
import { emptyBuffers } from './buffers.ts'
import { WISHES, wishOf } from './candidates-wish.ts'
import { Datagrams } from './datagrams.ts'
import { PeerLife } from './newcomer.ts'
import { PathLink } from './path-link.ts'
import { remoteCode } from './remote-code.ts'
import { Sender } from './sender.ts'
import type { CandidatesWish, LostPath, SessionOptions } from './session-events.ts'
import { SessionStream, type StreamHost } from './stream.ts'
import { MAX_STREAMS, StreamTable } from './stream-table.ts'
import { addTraffic, NO_TRAFFIC, relayTraffic, type Traffic } from './traffic.ts'
import type { WindowBudget } from './window.ts'

/** Control frames waiting; a peer that makes us queue more than this is not reading. */
const MAX_CONTROL_FRAMES = 16 * MAX_STREAMS

/** Paths at a time; a peer that makes more is not looking for a better one. */
const MAX_LINKS = 12

/** Frames whose stream field names a stream that is open. */
const STREAM_FRAMES: ReadonlySet<number> = new Set([FRAME.data, FRAME.credit, FRAME.accept, FRAME.end, FRAME.reset])

/**
 * What two peers share: streams in numbered frames, over one path at a time, outliving paths.
 *
 * Every path is ordered and reliable, and each frame is kept until the peer acknowledges it. So moving to another path
 * is to send there, again, everything not acknowledged; the receiver drops what it has already seen.
 */
export class Session implements StreamHost {
  readonly clock: Clock
  readonly budget: WindowBudget
  readonly #options: SessionOptions
  readonly #epoch: Uint8Array
  #peerEpoch: Uint8Array = new Uint8Array(EPOCH_BYTES)
  #links: readonly PathLink[] = []
  readonly #acknowledger: Acknowledger
  readonly #sender: Sender
  #preferred: PathTransport | undefined
  readonly #streams: StreamTable
  readonly #datagrams = new Datagrams()
  /** How far both sides are in ending this session for want of streams. */
  #bye: 'none' | 'proposed' | 'answered' = 'none'
  readonly #peerLife = new PeerLife()
  #closed = false
  #bytesIn = 0
  /** Of relay links that are gone now. */
  #pastRelay: Traffic = NO_TRAFFIC

  constructor(options: SessionOptions) {
    this.#options = options
    this.clock = options.clock
    this.budget = options.budget
    this.#epoch = options.random.bytes(EPOCH_BYTES)
    this.#streams = new StreamTable(options.ownId < options.peerId)
    this.#acknowledger = new Acknowledger(options.clock, () => this.#sender.schedule())
    this.#sender = new Sender(options.clock, this.#acknowledger, this.#datagrams)
  }

  get links(): readonly PathLink[] {
    return this.#links
  }

  /** The path that carries what we send. */
  get active(): PathLink | undefined {
    return this.#sender.link
  }

  get streamCount(): number {
    return this.#streams.size
  }

  get traffic(): Traffic {
    const streams = { ...relayTraffic(this.#links), bytesIn: this.#bytesIn, bytesOut: this.#sender.bytesOut }
    return addTraffic(addTraffic(streams, this.#datagrams.traffic), this.#pastRelay)
  }

  /** While held, user bytes wait for a direct path instead of going over a relay. */
  set hold(hold: boolean) {
    this.#sender.hold = hold
  }

  /** Takes a path into use as soon as the peer's hello came over it. One too many is closed. */
  attach(path: Path, dialled: boolean): PathLink | undefined {
    if (this.#closed || this.#links.length >= MAX_LINKS) {
      path.stream.destroy()
      return undefined
    }
    const busy = () => this.#streams.size > 0
    const link = new PathLink(
      path,
      this.clock,
      {
        onHello: (from, hello) => this.#onHello(from, hello),
        onSequenced: (_from, seq, frame) => this.#onSequenced(seq, frame),
        onAck: (from, received) => this.#onAck(from, received),
        onDatagram: (_from, frame) => this.#onDatagram(frame),
        onWritable: from => {
          if (from === this.active) this.#sender.pump()
        },
        onVital: () => this.#choose(),
        onDown: (from, reason) => this.#onDown({ link: from, reason }),
        onOver: () => this.#onOver(),
      },
      busy,
    )
    this.#links = [...this.#links, link]
    if (path.datagrams) link.carryPackets(path.datagrams, this.#options.ownId < this.#options.peerId)
    link.sayHello({
      minVersion: SESSION_VERSION,
      maxVersion: SESSION_VERSION,
      features: 0,
      epoch: this.#epoch,
      peerEpoch: this.#peerEpoch,
      received: this.#acknowledger.received,
      how: dialled ? (path.how satisfies HelloHow) : undefined,
    })
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
    const stream = new SessionStream(id, service, this, kind)
    this.#bye = 'none'
    this.#add(stream)
    this.#control(open)
    return stream
  }

  /** Sends on paths of this transport from now on, where there is a sound one. */
  prefer(transport: PathTransport): void {
    if (this.#preferred === transport) return
    this.#preferred = transport
    this.#choose()
  }

  get preferred(): PathTransport | undefined {
    return this.#preferred
  }

  /** How far what we send has come. */
  get sending(): { readonly bytesOut: number; readonly unacknowledgedBytes: number } {
    return this.#sender
  }

  sendCandidates(candidates: readonly Candidate[], wish?: CandidatesWish): void {
    this.#control(encodeFrame(FRAME.candidates, 0, encodeCandidates(candidates), wish ? WISHES[wish] : 0))
  }

  sendSituation(situation: Situation): void {
    this.#control(encodeFrame(FRAME.situation, 0, encodeSituation(situation)))
  }

  sendProbeSecret(secret: Uint8Array): void {
    this.#control(encodeFrame(FRAME.secret, 0, secret))
  }

  sendIce(attempt: number, signal: IceSignal): void {
    this.#control(encodeIce(attempt, signal))
  }

  sendPunch(attempt: number, signal: PunchSignal): void {
    this.#control(encodePunch(attempt, signal))
  }

  /** Proposes to end the idle session; `onBye` follows when the peer agrees. */
  sendBye(): void {
    if (this.#streams.size > 0 || this.#bye !== 'none') return
    this.#bye = 'proposed'
    this.#control(encodeFrame(FRAME.bye, 0))
  }

  /** The peer may end the session any moment: a new stream had better wait for the next one. */
  get leaving(): boolean {
    return this.#bye === 'answered'
  }

  /** One round trip over the path in use, in ms; undefined when there is none or it breaks. */
  async ping(): Promise<number | undefined> {
    return this.active?.ping()
  }

  /** As it is now, smoothed. */
  get rttMs(): number {
    return this.active?.rttMs ?? 0
  }

  /** Closes links that are not needed; the session itself goes on. */
  drop(links: readonly PathLink[]): void {
    for (const link of links) {
      link.leave()
      this.#forgetLink(link)
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
    for (const link of this.#links) link.leave('session')
    this.#links = []
    this.#sender.use(undefined)
  }

  // -- StreamHost

  lineRttMs(): number {
    return this.active?.leastRttMs ?? 0
  }

  wantsToSend(stream: SessionStream): void {
    this.#sender.ready(stream)
  }

  sendCredit(stream: SessionStream, bytes: number): void {
    this.#control(encodeCredit(stream.id, bytes))
  }

  sendAccept(stream: SessionStream): void {
    this.#control(encodeFrame(FRAME.accept, stream.id))
  }

  sendReset(stream: SessionStream, code: ErrorCode, reason: string): void {
    if (this.#streams.get(stream.id) === stream) this.#control(encodeReset(stream.id, code, reason))
  }

  sendDatagram(stream: SessionStream, bytes: Buffer): void {
    // Before the peer has accepted it, a packet might come before the `open`.
    const packets = stream.isAccepted ? this.active?.packets : undefined
    this.#datagrams.send(stream.id, bytes, packets, this.clock.now())
    if (!packets) this.#sender.schedule()
  }

  dropDatagram(): void {
    this.#datagrams.drop()
  }

  forget(stream: SessionStream): void {
    this.#sender.remove(stream)
    this.#datagrams.forget(stream.id)
    if (this.#streams.remove(stream) && this.#streams.size === 0) this.#busyChanged()
  }

  #control(frame: Buffer): void {
    // Never dropped: a credit or an open that is lost hangs its stream. What is bounded is who makes us queue them.
    this.#sender.control(frame)
    if (this.#sender.controlCount > MAX_CONTROL_FRAMES) {
      for (const link of this.#links) link.fail(new CulvertError('busy', 'the peer takes no frames'))
    }
  }

  // -- receiving

  #onHello(link: PathLink, hello: Hello): void {
    if (!sameBytes(hello.epoch, this.#peerEpoch)) {
      const fresh = this.#peerEpoch.every(byte => byte === 0)
      if (!fresh && this.#turnsAway(link)) return
      this.#peerEpoch = hello.epoch
      if (!fresh) this.#restart(link)
    }
    // A peer that greets another epoch of ours, or none, has nothing of what we sent.
    const known = sameBytes(hello.peerEpoch, this.#epoch)
    const received = known ? hello.received : 0
    if (!known && this.#peerLife.hasForgotten(link)) {
      this.#options.events.onBye(new CulvertError('session-closed', 'the peer has forgotten this session'))
      return
    }
    if (known) this.#peerLife.knowsUs(this.clock.now())
    this.#sender.acknowledge(received)
    // The peer may have made it because it misses answers on the others.
    for (const other of this.#links) if (other !== link && other.ready) void other.ping()
    this.#choose()
  }

  /** Another process with the peer's key came, while the one that we know may still be there. */
  #turnsAway(link: PathLink): boolean {
    const verdict = this.#peerLife.judge(this.active, this.clock.now())
    if (verdict === 'restarted') return false
    void this.ping()
    link.leave(verdict === 'clone' ? 'same-identity' : 'path')
    this.#forgetLink(link)
    if (verdict === 'clone') this.#options.events.onClone(link)
    return true
  }

  /** The peer began anew: what was under way is lost, and both count from zero. */
  #restart(survivor: PathLink): void {
    this.#endStreams(new CulvertError('session-closed', 'the peer restarted'))
    this.#sender.restart()
    this.#acknowledger.restart()
    this.#streams.peerRestarted()
    this.#bye = 'none'
    for (const link of this.#links) {
      if (link === survivor) continue
      link.leave()
      this.#forgetLink(link)
    }
    this.#options.events.onRestart()
  }

  #onAck(link: PathLink, received: number): void {
    this.#sender.acknowledge(received)
    this.#peerLife.knowsUs(this.clock.now())
    if (link === this.active && this.#sender.unacknowledgedBytes > 0) link.awaitAnswer()
  }

  #onDatagram(frame: Frame): void {
    this.#datagrams.receive(this.#streams.get(frame.stream), frame, this.clock.now())
  }

  #onSequenced(seq: number, frame: Frame): void {
    const { received } = this.#acknowledger
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
    const { events } = this.#options
    const stream = this.#streams.get(frame.stream)
    switch (frame.type) {
      case FRAME.data:
        this.#bytesIn += frame.payload.length
        noteTraffic()
        if (stream && !stream.receiveData(frame.payload)) {
          throw new CulvertError('wire-malformed', `the peer sent more than its credit on stream ${frame.stream}`)
        }
        return
      case FRAME.credit:
        stream?.receiveCredit(decodeCredit(frame.payload))
        return
      case FRAME.open:
        this.#onOpen(frame)
        return
      case FRAME.accept:
        stream?.receiveAccept()
        return
      case FRAME.end:
        stream?.receiveEnd()
        return
      case FRAME.reset: {
        const { code, reason } = decodeReset(frame.payload)
        stream?.receiveReset(remoteCode(code), reason)
        return
      }
      case FRAME.candidates:
        events.onCandidates(decodeCandidates(frame.payload), wishOf(frame.flags))
        return
      case FRAME.situation:
        events.onSituation(decodeSituation(frame.payload))
        return
      case FRAME.secret:
        events.onProbeSecret(decodeProbeSecret(frame.payload))
        return
      case FRAME.ice: {
        const signal = decodeIce(frame)
        if (signal) events.onIce(frame.stream, signal)
        return
      }
      case FRAME.punch: {
        const signal = decodePunch(frame)
        if (signal) events.onPunch(frame.stream, signal)
        return
      }
      case FRAME.bye:
        this.#onBye()
        return
      default:
        return
    }
  }

  #onOpen(frame: Frame): void {
    const { service, kind } = decodeOpen(frame.payload, frame.flags)
    this.#streams.openedByPeer(frame.stream)
    if (this.#streams.full) {
      this.#control(encodeReset(frame.stream, 'busy', `${MAX_STREAMS} streams are open already`))
      return
    }
    this.#bye = 'none'
    const stream = new SessionStream(frame.stream, service, this, kind)
    this.#add(stream)
    this.#options.events.onStream(stream)
  }

  #onBye(): void {
    if (this.#streams.size > 0) return
    if (this.#bye === 'proposed') {
      this.#options.events.onBye()
      return
    }
    // Not the end yet: a stream that the peer opened after its bye may be on its way.
    this.#bye = 'answered'
    this.#control(encodeFrame(FRAME.bye, 0))
  }

  #onOver(): void {
    if (this.#closed) return
    const over = new CulvertError('session-closed', 'the peer ended the session')
    this.#endStreams(over)
    this.#options.events.onBye(over)
  }

  // -- paths

  #onDown(lost: LostPath): void {
    this.#forgetLink(lost.link)
    if (this.leaving && this.#links.length === 0 && lost.reason.code === 'session-closed') this.#options.events.onBye()
    else this.#choose(lost)
  }

  #forgetLink(link: PathLink): void {
    if (this.#links.includes(link)) this.#pastRelay = addTraffic(this.#pastRelay, relayTraffic([link]))
    this.#links = this.#links.filter(other => other !== link)
  }

  /** Sends on the best path from now on; after a change, what the peer has not acknowledged goes again. */
  #choose(lost?: LostPath): void {
    if (this.#closed) return
    const best = choosePath(this.#links, this.#preferred)
    if (best !== this.active) {
      this.#sender.use(best)
      if (best) this.#acknowledger.repeat()
    }
    this.#options.events.onPaths(lost)
    this.#sender.schedule()
  }

  #add(stream: SessionStream): void {
    this.#streams.add(stream)
    if (this.#streams.size === 1) this.#busyChanged()
  }

  #busyChanged(): void {
    for (const link of this.#links) link.rearm()
    if (this.#streams.size === 0) emptyBuffers()
    this.#options.events.onBusy(this.#streams.size > 0)
  }

  #endStreams(reason: CulvertError): void {
    for (const stream of this.#streams.all()) stream.receiveReset(reason.code, reason.message)
  }
}

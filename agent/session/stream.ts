import { Duplex } from 'node:stream'
import { CulvertError, type ErrorCode } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { StreamKind } from '../../common/wire/session-frame.ts'
import { localBuffers } from './buffers.ts'
import type { KnownWindow } from './known-window.ts'
import {
  BASE_WINDOW_BYTES,
  creditDue,
  granted,
  grown,
  growthWanted,
  INITIAL_WINDOW_BYTES,
  initialWindow,
  marked,
  neededWindow,
  type Window,
  type WindowShare,
} from './window.ts'

/** Bytes a stream takes from its writer before it makes it wait. */
const SEND_BUFFER_BYTES = 256 * 1024

/**
 * Pieces smaller than this are joined, with those of one turn of the event loop and while the reader is behind: each
 * costs some hundred bytes on its way to the service, and a peer that sends single bytes could so hold far more than
 * its window.
 */
const SMALL_PIECE_BYTES = 1024
const JOINED_BYTES = 4 * 1024

/** What a stream needs of its session. */
export interface StreamHost {
  readonly clock: Clock
  readonly budget: WindowShare
  readonly knownWindow: KnownWindow
  /** Of the line, without the queue that we make ourselves. */
  lineRttMs(): number
  /** The stream has something to send: bytes, or its end. */
  wantsToSend(stream: SessionStream): void
  sendCredit(stream: SessionStream, bytes: number): void
  sendAccept(stream: SessionStream): void
  sendReset(stream: SessionStream, code: ErrorCode, reason: string): void
  sendDatagram(stream: SessionStream, bytes: Buffer): void
  /** One that came, or was to be sent, was given up. */
  dropDatagram(): void
  forget(stream: SessionStream): void
}

/**
 * One ordered byte stream to a service, with its own flow control: a slow reader stalls nobody else. Of kind `datagrams`
 * it is a flow: opened, accepted and reset alike, but what it carries are datagrams, and no bytes.
 */
export class SessionStream extends Duplex {
  readonly id: number
  readonly service: string
  readonly kind: StreamKind
  /** Set by the one who uses a flow. It must not throw, and may keep what it gets. */
  onDatagram: ((bytes: Buffer) => void) | undefined
  readonly #host: StreamHost
  /** Ours to send. */
  #credit = INITIAL_WINDOW_BYTES
  #queue: Buffer[] = []
  #queueAt = 0
  #queuedBytes = 0
  #waiting: (() => void) | undefined
  #finishing: (() => void) | undefined
  #endSent = false
  /** Theirs to send. */
  #window: Window
  #extraWindow = 0
  #receivedBytes = 0
  #endReceived = false
  /** Small pieces that wait behind what the reader has not taken yet. */
  #joined: Buffer | undefined
  #joinedBytes = 0
  /** Set while a small piece has gone on by itself in this turn of the event loop. */
  #turn: NodeJS.Immediate | undefined
  #resetByPeer = false
  #isAccepted = false
  #accepted: { resolve(): void; reject(error: CulvertError): void } | undefined
  #acceptance: Promise<void> | undefined

  constructor(id: number, service: string, host: StreamHost, kind: StreamKind = 'bytes') {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: 16 * 1024,
      writableHighWaterMark: SEND_BUFFER_BYTES,
      emitClose: true,
    })
    this.id = id
    this.service = service
    this.kind = kind
    this.#host = host
    this.#window = initialWindow(host.clock.now())
    // The one who uses the stream listens as well; this keeps a stream that nobody took yet from ending the process.
    this.on('error', () => undefined)
  }

  /** Resolves when the other side has connected its service; rejects with why it did not. */
  accepted(): Promise<void> {
    this.#acceptance ??= new Promise((resolve, reject) => {
      if (this.destroyed) reject(this.#ending())
      else this.#accepted = { resolve, reject }
    })
    return this.#acceptance
  }

  /** The offering side says that its service is connected. */
  accept(): void {
    this.#host.sendAccept(this)
    this.#isAccepted = true
    this.#widen()
  }

  /** The other side has connected its service, or we ours. */
  get isAccepted(): boolean {
    return this.#isAccepted
  }

  /** Sends one message of a flow, or loses it. The bytes are not to be changed any more. */
  sendDatagram(bytes: Buffer): void {
    if (!this.destroyed) this.#host.sendDatagram(this, bytes)
  }

  /** Counts a datagram of this flow that its user gave up. */
  dropDatagram(): void {
    this.#host.dropDatagram()
  }

  /** Ends the stream at once in both directions and tells the other side why. */
  reset(code: ErrorCode, reason: string): void {
    if (this.destroyed) return
    this.destroy(new CulvertError(code, reason))
  }

  // -- what the session's scheduler asks

  /** Bytes that may go out now. */
  get sendableBytes(): number {
    return Math.min(this.#credit, this.#queuedBytes)
  }

  /** All bytes are out and the writer has ended. */
  get endDue(): boolean {
    return this.#finishing !== undefined && this.#queuedBytes === 0 && !this.#endSent
  }

  /** Moves up to `limit` bytes into `target`; returns how many. */
  takeInto(target: Buffer, at: number, limit: number): number {
    const wanted = Math.min(limit, this.sendableBytes)
    let taken = 0
    while (taken < wanted) {
      const head = this.#queue[0]
      if (!head) break
      const copied = head.copy(target, at + taken, this.#queueAt, this.#queueAt + wanted - taken)
      taken += copied
      this.#queueAt += copied
      if (this.#queueAt === head.length) {
        this.#queue.shift()
        this.#queueAt = 0
        localBuffers.giveBack(head)
      }
    }
    this.#queuedBytes -= taken
    this.#credit -= taken
    if (this.#waiting && this.#queuedBytes < SEND_BUFFER_BYTES) {
      const resume = this.#waiting
      this.#waiting = undefined
      resume()
    }
    return taken
  }

  endTaken(): void {
    this.#endSent = true
    const done = this.#finishing
    this.#finishing = undefined
    done?.()
    this.#leaveWhenDone()
  }

  // -- what came from the peer

  /** False when the peer sent more than it was allowed: the session ends it. */
  receiveData(bytes: Buffer): boolean {
    this.#receivedBytes += bytes.length
    if (this.#receivedBytes > this.#window.grantedBytes || this.kind === 'datagrams') return false
    if (this.#endReceived || this.destroyed) return true
    this.#take(bytes)
    this.#giveCredit()
    return true
  }

  receiveCredit(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, 0xffff_ffff)
    if (this.sendableBytes > 0) this.#host.wantsToSend(this)
  }

  receiveAccept(): void {
    this.#isAccepted = true
    this.#accepted?.resolve()
    this.#accepted = undefined
    this.#widen()
  }

  receiveEnd(): void {
    if (this.#endReceived) return
    this.#endReceived = true
    this.#flush()
    this.push(null)
    this.#leaveWhenDone()
  }

  receiveReset(code: ErrorCode, reason: string): void {
    this.#resetByPeer = true
    this.destroy(new CulvertError(code, reason))
  }

  // -- Duplex

  override _read(): void {
    this.#flush()
    this.#giveCredit()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#enqueue(chunk)
    this.#settleWrite(done)
  }

  override _writev(chunks: ReadonlyArray<{ readonly chunk: Buffer }>, done: (error?: Error | null) => void): void {
    for (const { chunk } of chunks) this.#enqueue(chunk)
    this.#settleWrite(done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#finishing = done
    this.#host.wantsToSend(this)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const clean = this.#endSent && this.#endReceived
    if (!clean && !this.#resetByPeer) {
      const code = error instanceof CulvertError ? error.code : 'stream-reset'
      this.#host.sendReset(this, code, error?.message ?? 'closed by the other side')
    }
    this.#queue = []
    this.#queuedBytes = 0
    this.#joined = undefined
    this.#joinedBytes = 0
    this.#accepted?.reject(error instanceof CulvertError ? error : this.#ending())
    this.#accepted = undefined
    this.#acceptance?.catch(() => undefined)
    this.#host.knownWindow.ended(this)
    this.#host.budget.give(this.#extraWindow)
    this.#extraWindow = 0
    this.#host.forget(this)
    const waiting = this.#waiting ?? this.#finishing
    this.#waiting = undefined
    this.#finishing = undefined
    waiting?.()
    done(error)
  }

  #ending(): CulvertError {
    return new CulvertError('stream-reset', `the stream to ${this.service} was closed before it was accepted`)
  }

  #take(bytes: Buffer): void {
    if (bytes.length >= SMALL_PIECE_BYTES) {
      this.#flush()
      this.push(bytes)
      return
    }
    // The first one of a turn goes on at once, for it may be all that somebody waits for.
    if (!this.#turn && !this.#joined && this.readableLength === 0) {
      this.#turn = setImmediate(() => {
        this.#turn = undefined
        if (this.readableLength === 0) this.#flush()
      })
      this.push(bytes)
      return
    }
    if (this.#joinedBytes + bytes.length > JOINED_BYTES) this.#flush()
    // With bytes in the buffer the reader asks (`_read`) when it has taken them; with none it may be waiting now.
    if (!this.#joined && !this.#turn) setImmediate(() => this.readableLength === 0 && this.#flush())
    this.#joined ??= Buffer.allocUnsafeSlow(JOINED_BYTES)
    this.#joinedBytes += bytes.copy(this.#joined, this.#joinedBytes)
  }

  #flush(): void {
    const joined = this.#joined
    if (!joined) return
    this.#joined = undefined
    const length = this.#joinedBytes
    this.#joinedBytes = 0
    this.push(joined.subarray(0, length))
  }

  #enqueue(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
  }

  #settleWrite(done: () => void): void {
    if (this.#queuedBytes < SEND_BUFFER_BYTES) done()
    else this.#waiting = done
    if (this.sendableBytes > 0) this.#host.wantsToSend(this)
  }

  #giveCredit(): void {
    if (this.#endReceived || this.destroyed) return
    const { clock } = this.#host
    const consumed = this.#receivedBytes - this.readableLength - this.#joinedBytes
    const now = clock.now()
    const needed = neededWindow(this.#window, consumed, this.#host.lineRttMs(), now)
    if (needed > 0) this.#host.knownWindow.shown(this, needed, now)
    const wanted = growthWanted(this.#window, needed)
    if (wanted > 0) this.#grow(this.#host.budget.take(wanted))
    this.#window = marked(this.#window, consumed, now)
    const due = creditDue(this.#window, consumed)
    if (due === 0) return
    this.#window = granted(this.#window, due)
    this.#host.sendCredit(this, due)
  }

  #widen(): void {
    if (this.#window.sizeBytes >= BASE_WINDOW_BYTES || this.destroyed || this.kind === 'datagrams') return
    const { budget, knownWindow, clock } = this.#host
    this.#grow(budget.take(BASE_WINDOW_BYTES - INITIAL_WINDOW_BYTES))
    this.#grow(budget.takeSpare(knownWindow.begin(this, clock.now()) - this.#window.sizeBytes))
    this.#giveCredit()
  }

  #grow(bytes: number): void {
    this.#extraWindow += bytes
    this.#window = grown(this.#window, bytes)
  }

  #leaveWhenDone(): void {
    if (this.#endSent && this.#endReceived) this.#host.forget(this)
  }
}

import { Duplex } from 'node:stream'
import { CulvertError } from '../../../common/errors.ts'
import type { Clock, Timer } from '../../../common/platform/clock.ts'
import type { Endpoint } from '../../../common/wire/endpoint.ts'
import { MAX_MESSAGE_BYTES } from './ice-description.ts'
import type { NativeChannel } from './native.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { formatControl, MESSAGE_COST, parseControl } from './stream-control.ts'

export interface ByteStreamOptions {
  readonly channel: NativeChannel
  readonly clock: Clock
  /** The peer's endpoint as we see it, told to the peer in `hello`. */
  readonly remote: Endpoint | undefined
  /** The peer's `hello` has come: full packets pass towards us, and bytes may be written. */
  readonly onHello: (outside: Endpoint | undefined) => void
  /** The stream has no more use for the connection. */
  readonly onDestroy: (error: Error | null) => void
}

/** Above this the writer waits: 1 MiB more is in SCTP's own buffer, and what stands here only adds delay. */
const HIGH_WATER_BYTES = 256 * 1024

/** Bytes may wait for the network this long without one of them leaving; ICE itself gives up after 30 s of silence. */
const STALL_MS = 20_000
const STALL_CHECK_MS = 2_000

/** `end` waits behind at most what SCTP and we buffer: 1.3 MiB, 15 s at 0.8 Mbit/s. */
const END_SEEN_MS = 30_000

/**
 * A byte stream over one data channel, with half-close and flow control of its own: the library hands over every
 * message at once and cannot be told to wait, so the receiver grants credit as its reader takes bytes, and a reader
 * that stalls holds at most one window. See stream-control.ts for what is on the wire.
 */
export class ByteStream extends Duplex {
  readonly #channel: NativeChannel
  readonly #clock: Clock
  readonly #options: ByteStreamOptions
  readonly #received = new ReceiveQueue()
  /** The readable side has room. */
  #wanted = true
  #heardHello = false
  #sentCost = 0
  #peerAllows = 0
  #unsent: Buffer[] = []
  #unsentBytes = 0
  #writeDone: (() => void) | undefined
  #endSent = false
  #endDone: ((error?: Error) => void) | undefined
  #endTimer: Timer | undefined
  #watch: Timer | undefined
  #lastBuffered = 0
  #lastProgressAt = 0

  constructor(options: ByteStreamOptions) {
    super({ readableHighWaterMark: MAX_MESSAGE_BYTES, writableHighWaterMark: HIGH_WATER_BYTES })
    this.#options = options
    this.#channel = options.channel
    this.#clock = options.clock
    this.#send({ kind: 'hello', window: this.#received.window, outside: options.remote })
  }

  /** A text message from the peer. */
  onText(text: string): void {
    if (this.destroyed) return
    const control = parseControl(text)
    if (control === 'unknown') return
    if (control === undefined || this.#heardHello === (control.kind === 'hello')) {
      this.#malformed('a control message out of place')
      return
    }
    switch (control.kind) {
      case 'hello':
        this.#heardHello = true
        this.#peerAllows = control.window
        this.#options.onHello(control.outside)
        break
      case 'credit':
        this.#peerAllows = Math.max(this.#peerAllows, control.total)
        break
      case 'end':
        this.#send({ kind: 'end-seen' })
        this.#received.end()
        this.#deliver()
        return
      case 'end-seen':
        if (!this.#endSent) this.#malformed('an end was acknowledged that was not sent')
        else this.#finishEnd()
        return
    }
    this.#flush()
  }

  /** A binary message from the peer. */
  onBytes(bytes: Buffer): void {
    if (this.destroyed) return
    if (!this.#heardHello || !this.#received.put(bytes)) {
      this.#malformed('bytes beyond the credit, or after the end')
      return
    }
    this.#deliver()
  }

  /** The native buffer has room again. */
  onLow(): void {
    this.#flush()
  }

  /** The connection beneath has ended. A peer closes once it has seen both ends, so then nothing is missing. */
  onDown(reason: string): void {
    if (this.destroyed) return
    if (this.#received.ended && this.#endSent) {
      this.#finishEnd()
      return
    }
    this.destroy(new CulvertError('io', `the data channel ended: ${reason}`))
  }

  override _read(): void {
    this.#wanted = true
    this.#deliver()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#take([chunk], done)
  }

  override _writev(chunks: Array<{ chunk: Buffer }>, done: (error?: Error | null) => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#endSent = true
    this.#endDone = done
    this.#endTimer = this.#clock.after(END_SEEN_MS, () =>
      this.destroy(
        new CulvertError('timed-out', `the peer did not confirm the end of the stream in ${END_SEEN_MS} ms`),
      ),
    )
    this.#send({ kind: 'end' })
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#watch?.cancel()
    this.#endTimer?.cancel()
    this.#unsent = []
    this.#received.clear()
    this.#options.onDestroy(error)
    done(error)
  }

  #deliver(): void {
    while (this.#wanted) {
      const next = this.#received.take(MAX_MESSAGE_BYTES)
      if (next === undefined) break
      this.#wanted = this.push(next)
    }
    if (this.destroyed) return
    if (this.#received.finished) {
      if (!this.readableEnded) this.push(null)
      return
    }
    const total = this.#received.grant()
    if (total !== undefined) this.#send({ kind: 'credit', total })
  }

  #take(chunks: Buffer[], done: (error?: Error | null) => void): void {
    this.#unsent.push(...chunks)
    for (const chunk of chunks) this.#unsentBytes += chunk.length
    this.#writeDone = done
    this.#flush()
  }

  #flush(): void {
    while (this.#unsentBytes > 0 && !this.destroyed) {
      const buffered = this.#channel.buffered()
      if (buffered >= HIGH_WATER_BYTES) {
        this.#watchProgress(buffered)
        return
      }
      const allowed = Math.min(this.#peerAllows - this.#sentCost - MESSAGE_COST, MAX_MESSAGE_BYTES)
      // Waiting for a worthwhile grant keeps a slow reader's peer from sending crumbs.
      if (allowed < Math.min(this.#unsentBytes, MAX_MESSAGE_BYTES / 4)) return
      const message = this.#nextMessage(allowed)
      this.#sentCost += message.length + MESSAGE_COST
      if (!this.#channel.sendBytes(message)) {
        this.destroy(new CulvertError('io', 'the data channel no longer takes bytes'))
        return
      }
    }
    const done = this.#writeDone
    if (this.#unsentBytes > 0 || !done || this.destroyed) return
    this.#writeDone = undefined
    done()
  }

  /** Cuts the next message off what waits, joining small pieces: 1,200-byte messages carry half of what 64 KiB ones do. */
  #nextMessage(limit: number): Buffer {
    const parts: Buffer[] = []
    let length = 0
    let used = 0
    for (const part of this.#unsent) {
      if (length + part.length > limit) {
        const cut = limit - length
        if (cut > 0) parts.push(part.subarray(0, cut))
        this.#unsent[used] = part.subarray(cut)
        length = limit
        break
      }
      parts.push(part)
      length += part.length
      used++
    }
    this.#unsent.splice(0, used)
    this.#unsentBytes -= length
    const [only] = parts
    return parts.length === 1 && only ? only : Buffer.concat(parts, length)
  }

  #watchProgress(buffered: number): void {
    if (this.#watch) return
    this.#lastBuffered = buffered
    this.#lastProgressAt = this.#clock.now()
    this.#watch = this.#clock.every(STALL_CHECK_MS, () => this.#checkProgress())
  }

  #checkProgress(): void {
    const buffered = this.#channel.buffered()
    if (buffered < HIGH_WATER_BYTES) {
      this.#watch?.cancel()
      this.#watch = undefined
      this.#flush()
      return
    }
    const now = this.#clock.now()
    if (buffered !== this.#lastBuffered) {
      this.#lastBuffered = buffered
      this.#lastProgressAt = now
    } else if (now - this.#lastProgressAt >= STALL_MS) {
      this.destroy(new CulvertError('timed-out', `no byte left the data channel for ${STALL_MS} ms`))
    }
  }

  #send(control: Parameters<typeof formatControl>[0]): void {
    if (this.#channel.sendText(formatControl(control)) || this.destroyed) return
    this.destroy(new CulvertError('io', 'the data channel no longer takes messages'))
  }

  #finishEnd(): void {
    this.#endTimer?.cancel()
    const done = this.#endDone
    this.#endDone = undefined
    done?.()
  }

  #malformed(what: string): void {
    this.destroy(new CulvertError('wire-malformed', `the peer broke the data channel's protocol: ${what}`))
  }
}

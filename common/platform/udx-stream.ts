import { Duplex } from 'node:stream'
import { CulvertError, reasonOf } from '../errors.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { RawUdxSocket, UdxBinding, UdxShared } from './udx-library.ts'

/** What a stream is made of. */
export interface UdxStreamParts {
  readonly binding: UdxBinding
  readonly shared: UdxShared
  readonly socket: RawUdxSocket
  readonly id: number
  /** Called once, when the native stream is gone. */
  readonly onClosed: () => void
}

/**
 * UDX takes no notice of a reader that stalls and goes on delivering. Ours never does for long, so whoever lets this much
 * pile up is a peer that sends beyond what any honest one may.
 */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024
const READ_BYTES = 64 * 1024
/** No packet that UDX takes is longer. */
const MAX_PACKET_BYTES = 2048
const NOTHING = Buffer.alloc(0)
/** UDX begins with IP packets of 1,200 bytes (RFC 8899 §5.1.2 takes that for safe), and has no way to take less. */
const BASE_PACKET_BYTES = 1_200
/** For a line that swallows those: fits through every tunnel of tunnels that was ever met. */
const SMALL_PACKET_BYTES = 1_100
/** What goes ahead of a stream of small packets, in a packet of its own. */
const AHEAD = Buffer.alloc(1)

type Done = (error?: Error | null) => void

/**
 * A UDX stream as an ordinary byte stream, straight on the native functions: the library's own stream resets the other
 * end while the last bytes are still on their way, and hands out each packet by itself. UDX proves nothing about who
 * sends: TLS has to run over it.
 */
export class UdxStream extends Duplex {
  readonly id: number
  readonly #parts: UdxStreamParts
  readonly #handle: Buffer
  readonly #requestBytes: number
  #remote: Endpoint | undefined
  /** Writes that are not acknowledged, with the memory that the native side uses for each. */
  readonly #writes = new Map<number, { readonly request: Buffer; readonly bytes: Buffer }>()
  readonly #freeRequests: Buffer[] = []
  #nextWrite = 1
  /** The write of our end, and who waits for it to be acknowledged. */
  #ending: { readonly write: number; readonly done: Done } | undefined
  /** Who waits for room. */
  #waiting: Done | undefined
  #read = Buffer.allocUnsafeSlow(READ_BYTES)
  /** Where in it the bytes begin and end that were not handed on yet. */
  #readFrom = 0
  #readTo = 0
  #handOn: NodeJS.Immediate | undefined
  /** While the packet ahead of a stream of small ones has not left, the write that waits for it. */
  #ahead: { write: (() => void) | undefined } | undefined
  /** Bytes at the beginning that belong to nobody. */
  #skip = 0
  /** What UDX has sent again: packets as it counts them, and bytes in all. */
  #resent = 0
  #resentBytes = 0
  #onNativeClose: (() => void) | undefined
  #nativeClosed = false

  /** Throws what the native side throws. */
  constructor(parts: UdxStreamParts) {
    super({ allowHalfOpen: true })
    const { binding, shared, id } = parts
    this.id = id
    this.#parts = parts
    this.#handle = Buffer.alloc(binding.sizeof_udx_napi_stream_t)
    this.#requestBytes = binding.udx_napi_stream_write_sizeof(1)
    const guard =
      <A extends readonly unknown[]>(run: (...args: A) => void) =>
      (...args: A) => {
        try {
          run(...args)
        } catch (thrown) {
          this.#fail(`handling it failed: ${reasonOf(thrown)}`, thrown)
        }
      }
    binding.udx_napi_stream_init(
      shared._handle,
      this.#handle,
      id,
      0,
      this,
      length => this.#take(length),
      guard(length => this.#takeEnd(length)),
      guard(() => this.#goOn()),
      guard(write => this.#acknowledged(write)),
      () => undefined,
      length => {
        shared._consumeMessage(length)
        return shared._buffer
      },
      guard(error => this.#closed(error)),
      // Before `connect` every packet is dropped: the peer sends it again.
      () => 1,
      () => undefined,
      () => this.#newReadBuffer(),
      () => shared._reallocMessage(),
    )
    binding.udx_napi_stream_recv_start(this.#handle, this.#read)
  }

  get remote(): Endpoint | undefined {
    return this.#remote
  }

  /** Smoothed round trip as UDX measures it, in ms; 0 before the first. */
  get rttMs(): number {
    return this.#handle.readUInt32LE(this.#parts.binding.offsetof_udx_stream_t_srtt)
  }

  /**
   * Bytes in packets that have arrived, in whatever order. UDX counts those that it sends again in 16 bits, so this is
   * right where it is asked for now and then: some ten thousand packets at a time.
   */
  get arrivedBytes(): number {
    const { binding } = this.#parts
    const resent = this.#handle.readUInt16LE(binding.offsetof_udx_stream_t_retransmit_count)
    this.#resentBytes += ((resent - this.#resent) & 0xffff) * this.packetBytes
    this.#resent = resent
    const sent = Number(this.#handle.readBigUInt64LE(binding.offsetof_udx_stream_t_bytes_tx))
    return sent - this.#handle.readUInt32LE(binding.offsetof_udx_stream_t_inflight) - this.#resentBytes
  }

  /** The largest IP packet that it sends now; UDX begins with 1,200 bytes and finds out by itself whether more pass. */
  get packetBytes(): number {
    return this.#handle.readUInt16LE(this.#parts.binding.offsetof_udx_stream_t_mtu)
  }

  /**
   * To be called once, before anything is written. Whoever writes first should know that the other end is connected, too:
   * what comes there before is dropped, and sent again after a second. `small`, for a line on which packets of 1,200 bytes
   * are lost, has to be the same on both ends.
   */
  connect(remoteId: number, remote: Endpoint, small = false): void {
    const { binding, socket } = this.#parts
    if (this.#nativeClosed || socket.closing) throw new CulvertError('io', 'the UDP socket is closed')
    if (this.#remote) throw new CulvertError('internal', 'a UDX stream is connected once')
    try {
      const family = remote.address.includes(':') ? 6 : 4
      binding.udx_napi_stream_connect(this.#handle, socket._handle, remoteId, remote.port, remote.address, family)
    } catch (cause) {
      const error = new CulvertError('io', `no UDX stream could be connected: ${reasonOf(cause)}`, { cause })
      this.destroy()
      throw error
    }
    this.#remote = remote
    socket._addStream(this)
    if (small) this.#sendSmall()
  }

  override _read(): void {
    // Bytes come by themselves.
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: Done): void {
    if (this.#nativeClosed || !this.#remote) {
      done(new CulvertError('peer-unreachable', 'the UDX stream is not connected'))
      return
    }
    if (this.#ahead) {
      this.#ahead.write = () => this._write(chunk, encoding, done)
      return
    }
    const { binding } = this.#parts
    const [write, request] = this.#newWrite(chunk)
    if (binding.udx_napi_stream_write(this.#handle, request, write, chunk) !== 0) done()
    else this.#waiting = done
  }

  override _final(done: Done): void {
    if (this.#nativeClosed || !this.#remote) {
      done()
      return
    }
    const [write, request] = this.#newWrite(NOTHING)
    // A stream is destroyed when both halves have ended, which resets the other end if it has not everything yet.
    this.#ending = { write, done }
    this.#parts.binding.udx_napi_stream_write_end(this.#handle, request, write, NOTHING)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#waiting = undefined
    this.#ending = undefined
    if (this.#nativeClosed) {
      done(error)
      return
    }
    this.#onNativeClose = () => done(error)
    try {
      this.#parts.binding.udx_napi_stream_destroy(this.#handle)
    } catch {
      // It was ending already, and says so when it has.
    }
  }

  /**
   * Sets the size that UDX has no setting for; where it is not found, packets stay large. The packet that the native side
   * is filling has the old size already, so it leaves with one byte in it that the other end drops.
   */
  #sendSmall(): void {
    if (this.packetBytes !== BASE_PACKET_BYTES) return
    const { binding } = this.#parts
    this.#handle.writeUInt16LE(SMALL_PACKET_BYTES, binding.offsetof_udx_stream_t_mtu)
    this.#skip = AHEAD.length
    const [write, request] = this.#newWrite(AHEAD)
    binding.udx_napi_stream_write(this.#handle, request, write, AHEAD)
    const ahead = { write: undefined }
    this.#ahead = ahead
    // It leaves when the event loop turns; of two immediates at least one turn lies between.
    setImmediate(() =>
      setImmediate(() => {
        const waiting = this.#ahead?.write
        this.#ahead = undefined
        if (!this.destroyed) waiting?.()
      }),
    )
  }

  #newWrite(bytes: Buffer): [write: number, request: Buffer] {
    const write = this.#nextWrite++
    const request = this.#freeRequests.pop() ?? Buffer.allocUnsafeSlow(this.#requestBytes)
    this.#writes.set(write, { request, bytes })
    return [write, request]
  }

  // -- called by the native side, where nothing may be thrown

  /** The packets of one turn of the event loop are handed on together. Gives the place for the next. */
  #take(length: number): Buffer {
    this.#readTo += length
    if (READ_BYTES - this.#readTo < MAX_PACKET_BYTES) {
      this.#handOnNow()
      return this.#newReadBuffer()
    }
    this.#handOn ??= setImmediate(() => this.#handOnNow())
    return this.#read.subarray(this.#readTo)
  }

  #newReadBuffer(): Buffer {
    this.#read = Buffer.allocUnsafeSlow(READ_BYTES)
    this.#readFrom = this.#readTo = 0
    return this.#read
  }

  #handOnNow(): void {
    clearImmediate(this.#handOn)
    this.#handOn = undefined
    if (this.#readFrom === this.#readTo || this.destroyed) return
    const skipped = Math.min(this.#skip, this.#readTo - this.#readFrom)
    this.#skip -= skipped
    const chunk = this.#read.subarray(this.#readFrom + skipped, this.#readTo)
    this.#readFrom = this.#readTo
    if (chunk.length === 0) return
    try {
      this.push(chunk)
    } catch (thrown) {
      this.#fail(`reading it failed: ${reasonOf(thrown)}`, thrown)
    }
    if (this.readableLength > MAX_UNREAD_BYTES) this.#fail('the peer sends more than anybody reads')
  }

  #takeEnd(length: number): void {
    this.#readTo += length
    this.#handOnNow()
    this.push(null)
  }

  #goOn(): void {
    const done = this.#waiting
    this.#waiting = undefined
    done?.()
  }

  #acknowledged(write: number): void {
    const known = this.#writes.get(write)
    this.#writes.delete(write)
    if (known && this.#freeRequests.length < 16) this.#freeRequests.push(known.request)
    if (this.#ending?.write !== write) return
    const { done } = this.#ending
    this.#ending = undefined
    // Not in here: the native side may be about to end in peace, which a stream that is destroyed first would not.
    setImmediate(done)
  }

  #fail(reason: string, cause?: unknown): void {
    this.destroy(new CulvertError('peer-unreachable', `the UDX stream broke: ${reason}`, { cause }))
  }

  #closed(error: Error | undefined): void {
    this.#nativeClosed = true
    this.#parts.socket._removeStream(this)
    this.#parts.onClosed()
    if (this.#onNativeClose) {
      this.#onNativeClose()
      return
    }
    if (error) {
      this.#fail(reasonOf(error), error)
      return
    }
    this.#handOnNow()
    this.#goOn()
  }
}

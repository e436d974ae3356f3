import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { canReadFast, readInto, releaseReading } from '../common/platform/fast-read.ts'
import { resetSocket } from '../common/platform/tcp.ts'
import { afterRead, FIRST_READ_SIZE, MAX_READ_BYTES, MIN_READ_BYTES, type ReadSize } from './read-size.ts'
import type { Meter, MeterEvents } from './traffic.ts'

/** How bytes are moved. `fast` needs internals of Node and plain TCP; `stream` works with every socket. */
export type SpliceMode = 'fast' | 'stream'

export interface SpliceEnd {
  readonly socket: Socket
  /** Bytes that were read before the splice, such as the head of an HTTP upgrade. */
  readonly early?: Buffer
  /** Makes the meter for what this end sends. */
  readonly meter: (events: MeterEvents) => Meter
}

export interface SpliceOutcome {
  /** `ended` = both sides finished; otherwise why it was cut. */
  readonly reason: string
  readonly bytesFromA: number
  readonly bytesFromB: number
}

export interface Splice {
  readonly mode: SpliceMode
  /** Passed so far, both ways together. */
  bytes(): number
  /** Cuts both sides, with a reset where the socket can. */
  cut(reason: string): void
}

/** Large read buffers of all splices together, in bytes. Without room, buffers stay at their least size. */
const MAX_LARGE_BUFFER_BYTES = 128 * 1024 * 1024
/**
 * A side that is silent for this long after the other one has ended is given up: it may have moved to another network
 * without a word, and its pipe would count towards its quota for a quarter of an hour.
 */
const LINGER_MS = 10_000
const EMPTY = Buffer.alloc(0)

let largeBufferBytes = 0

/**
 * Joins two sockets: bytes, half-close and resets pass in both directions with back-pressure, at most one buffer each
 * way. `done` is called once, when both sockets are closed.
 */
export function splice(a: SpliceEnd, b: SpliceEnd, mode: SpliceMode, done: (outcome: SpliceOutcome) => void): Splice {
  const chosen = mode === 'fast' && canReadFast(a.socket) && canReadFast(b.socket) ? 'fast' : 'stream'
  const move = chosen === 'fast' ? moveFast : moveStream
  let reason: string | undefined
  let open = 2
  const cut = (why: string) => {
    if (reason !== undefined) return
    reason = why
    // A reset tells the far side that bytes may be missing; an end would say that this was all.
    for (const { socket } of [a, b]) reset(socket)
  }
  const fromA = move(a, b.socket, cut)
  const fromB = move(b, a.socket, cut)
  const watch = (from: Socket, to: Socket) => {
    from.on('error', cause => cut(cause.message))
    const linger = () => {
      if (!to.destroyed)
        to.setTimeout(LINGER_MS, () => cut(`silent for ${LINGER_MS} ms after the end of the other side`))
    }
    from.once('end', linger)
    const closed = () => {
      if (!from.readableEnded && reason === undefined) cut('closed without an end')
      else linger()
      if (--open > 0) return
      fromA.close()
      fromB.close()
      done({ reason: reason ?? 'ended', bytesFromA: fromA.bytes(), bytesFromB: fromB.bytes() })
    }
    if (from.closed) queueMicrotask(closed)
    else from.once('close', closed)
  }
  watch(a.socket, b.socket)
  watch(b.socket, a.socket)
  if (a.socket.destroyed || b.socket.destroyed) cut('closed before it was joined')
  fromA.start()
  fromB.start()
  return { mode: chosen, bytes: () => fromA.bytes() + fromB.bytes(), cut }
}

/** Node cannot reset through TLS: there, only the sealing of what the pipe carries shows that bytes are missing. */
function reset(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else resetSocket(socket)
}

interface Move {
  start(): void
  close(): void
  bytes(): number
}

type MoveBytes = (from: SpliceEnd, to: Socket, cut: (why: string) => void) => Move

/** One direction through `data` events. */
const moveStream: MoveBytes = ({ socket: from, early, meter: makeMeter }, to, cut) => {
  let bytes = 0
  let draining = false
  let throttled = false
  const goOn = () => {
    if (!draining && !throttled) from.resume()
  }
  const meter = makeMeter({
    resume: () => {
      throttled = false
      goOn()
    },
    over: cut,
  })
  const pass = (chunk: Buffer) => {
    bytes += chunk.length
    draining = !to.write(chunk)
    throttled = !meter.spend(chunk.length)
    if (draining || throttled) from.pause()
  }
  to.on('drain', () => {
    draining = false
    goOn()
  })
  return {
    start() {
      if (early && early.length > 0) pass(early)
      from.on('data', pass)
      from.once('end', () => to.end())
      releaseReading(from)
      goOn()
    },
    close: () => meter.close(),
    bytes: () => bytes,
  }
}

/**
 * One direction through a reused buffer: libuv would else allocate and free 64 KiB for every read, which is half of the
 * relay's work. The buffer must not be read into while the other side still writes from it: `drain` comes too early for
 * that, only the callback of a later write tells.
 */
const moveFast: MoveBytes = ({ socket: from, early, meter: makeMeter }, to, cut) => {
  let bytes = 0
  let writing = false
  let throttled = false
  let size: ReadSize = FIRST_READ_SIZE
  let buffer = Buffer.allocUnsafeSlow(size.bytes)
  let replaced = false
  const goOn = () => {
    if (!writing && !throttled && !from.destroyed) from.resume()
  }
  const onWritten = () => {
    writing = false
    goOn()
  }
  const meter = makeMeter({
    resume: () => {
      throttled = false
      goOn()
    },
    over: cut,
  })
  const pass = (chunk: Buffer): boolean => {
    bytes += chunk.length
    to.write(chunk)
    throttled = !meter.spend(chunk.length)
    if (to.writableLength !== 0) {
      writing = true
      to.write(EMPTY, onWritten)
    }
    return !writing && !throttled
  }
  const resize = (length: number) => {
    const next = afterRead(size, length)
    const change = largeBytes(next) - largeBytes(size)
    if (largeBufferBytes + change > MAX_LARGE_BUFFER_BYTES) return
    largeBufferBytes += change
    if (next.bytes !== size.bytes) {
      buffer = Buffer.allocUnsafeSlow(next.bytes)
      replaced = true
    }
    size = next
  }
  const onRead = (length: number): boolean => {
    const goAhead = pass(length === buffer.length ? buffer : buffer.subarray(0, length))
    resize(length)
    return goAhead
  }
  const nextBuffer = () => {
    if (!replaced) return undefined
    replaced = false
    return buffer
  }
  return {
    start() {
      if (early && early.length > 0) pass(early)
      for (let chunk: unknown = from.read(); Buffer.isBuffer(chunk); chunk = from.read()) pass(chunk)
      from.once('end', () => to.end())
      readInto(from, buffer, onRead, nextBuffer)
      goOn()
    },
    close() {
      meter.close()
      largeBufferBytes -= largeBytes(size)
      size = FIRST_READ_SIZE
      buffer = EMPTY
    },
    bytes: () => bytes,
  }
}

const largeBytes = (size: ReadSize): number => Math.min(MAX_READ_BYTES, size.bytes) - MIN_READ_BYTES

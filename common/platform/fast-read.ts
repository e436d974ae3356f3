import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * Reading an accepted socket into one reused buffer. Node offers this for dialled sockets only (`onread`); for accepted
 * ones the same mechanism is reached through the symbols it is built on. They may change in any release: `fastReadKeys`
 * finds out, and whoever uses this has another way ready.
 */
interface FastReadKeys {
  readonly buffer: symbol
  readonly callback: symbol
  readonly nextBuffer: symbol
}

let keys: FastReadKeys | null | undefined

function fastReadKeys(): FastReadKeys | null {
  if (keys !== undefined) return keys
  const probe = new Socket()
  const byName = new Map(Object.getOwnPropertySymbols(probe).map(symbol => [symbol.description, symbol]))
  probe.destroy()
  const buffer = byName.get('kBuffer')
  const callback = byName.get('kBufferCb')
  const nextBuffer = byName.get('kBufferGen')
  keys = buffer && callback && nextBuffer ? { buffer, callback, nextBuffer } : null
  return keys
}

/** True when this socket can be read by `readInto` and is no TLS socket, through which a splice would gain nothing. */
export function canReadFast(socket: Socket): boolean {
  return !(socket instanceof TLSSocket) && canReadInto(socket)
}

/** True when this socket, TLS or not, can be read by `readInto`. */
export function canReadInto(socket: Socket): boolean {
  const symbols = fastReadKeys()
  if (symbols === null) return false
  if (Reflect.get(socket, symbols.buffer) !== null || Reflect.get(socket, symbols.nextBuffer) !== null) return false
  const handle = handleOf(socket)
  return typeof handle?.useUserBuffer === 'function' && typeof handle.readStop === 'function'
}

/** Stops reading until `readInto` or `releaseReading`, so that what a peer sends early stays in the kernel. */
export function holdReading(socket: Socket): void {
  if (!canReadFast(socket)) {
    socket.pause()
    return
  }
  const handle = handleOf(socket)
  const stop = handle?.readStop
  if (!handle || typeof stop !== 'function') return
  Reflect.apply(stop, handle, [])
  handle.reading = false
}

/** Undoes `holdReading` for a socket that will be read the ordinary way. */
export function releaseReading(socket: Socket): void {
  const handle = canReadFast(socket) ? handleOf(socket) : undefined
  const start = handle?.readStart
  if (!handle || typeof start !== 'function' || handle.reading !== false) return
  Reflect.apply(start, handle, [])
  handle.reading = true
}

/**
 * From now on every read lands in `first`, and `onRead` learns how many bytes it was. It returns false to stop reading
 * (`socket.resume()` goes on), and may name another buffer for the reads that follow. What was read before has to be
 * taken by `socket.read()` first.
 */
export function readInto(
  socket: Socket,
  first: Buffer,
  onRead: (length: number) => boolean,
  nextBuffer: () => Buffer | undefined,
): void {
  const symbols = fastReadKeys()
  const handle = handleOf(socket)
  const use = handle?.useUserBuffer
  if (symbols === null || !handle || typeof use !== 'function') return
  Reflect.set(socket, symbols.buffer, first)
  Reflect.set(socket, symbols.callback, onRead)
  Reflect.set(socket, symbols.nextBuffer, nextBuffer)
  Reflect.apply(use, handle, [first])
}

function handleOf(socket: Socket): Record<string, unknown> | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  return isRecord(handle) ? handle : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

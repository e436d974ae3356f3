import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { canReadInto, readInto } from '../../common/platform/fast-read.ts'
import { resetSocket } from '../../common/platform/tcp.ts'
import { LOCAL_BUFFER_BYTES, localBuffers, recordBuffers } from '../session/buffers.ts'
import type { SessionStream } from '../session/stream.ts'

/** A read of at least this announces more. */
const BULK_BYTES = 16 * 1024
/** What quiet connections read into: its bytes are copied before anything else is read. */
const sharedBuffer = Buffer.allocUnsafeSlow(LOCAL_BUFFER_BYTES)

/**
 * Joins a session stream with a local connection: bytes, half-closes and resets pass through as themselves. Ends when
 * both are closed.
 */
export function join(stream: SessionStream, local: Duplex): void {
  local.on('error', () => undefined)
  stream.on('error', () => undefined)
  if (local instanceof Socket && canReadInto(local)) send(local, stream)
  else local.pipe(stream)
  receive(stream, local)
  local.once('close', () => {
    if (!stream.writableEnded || !stream.readableEnded) stream.reset('stream-reset', 'the local connection was reset')
  })
  stream.once('close', () => {
    if (stream.errored) resetLocal(local)
    else if (!local.writableEnded) local.end()
  })
}

/**
 * What a pipe does, with buffers that are used again. Bulk bytes are read into one of the pool's, which the stream gives
 * back when they are sent; a connection that is quiet, or trickles, holds none.
 */
function send(local: Socket, stream: SessionStream): void {
  for (let chunk: unknown = local.read(); Buffer.isBuffer(chunk); chunk = local.read()) stream.write(chunk)
  let own: Buffer | undefined
  let next: Buffer | undefined
  const onRead = (length: number) => {
    const bulk = length >= BULK_BYTES
    const used = own
    const part = (used ?? sharedBuffer).subarray(0, length)
    if (used || bulk) {
      own = bulk ? localBuffers.take() : undefined
      next = own ?? sharedBuffer
    }
    if (used && bulk) return stream.write(part)
    const more = stream.write(Buffer.from(part))
    if (used) localBuffers.giveBack(used)
    return more
  }
  const nextBuffer = () => {
    const buffer = next
    next = undefined
    return buffer
  }
  stream.on('drain', () => local.resume())
  local.once('end', () => stream.end())
  local.once('close', () => own && localBuffers.giveBack(own))
  readInto(local, sharedBuffer, onRead, nextBuffer)
  local.resume()
}

/**
 * The other direction. All writes of one turn of the event loop become one system call: frames come in 16 KiB at a time,
 * and writing each by itself costs a third of the receiving side's processor time. Only a small one that comes first is
 * not kept waiting.
 */
function receive(stream: SessionStream, local: Duplex): void {
  let gathering = false
  let corked = false
  const endTurn = () => {
    gathering = false
    if (!corked) return
    corked = false
    local.uncork()
  }
  stream.on('data', (chunk: Buffer) => {
    if (local.destroyed) return
    const first = !gathering
    if (first) setImmediate(endTurn)
    gathering = true
    if (!corked && !(first && chunk.length < BULK_BYTES / 4)) {
      corked = true
      local.cork()
    }
    const more = local.write(chunk, error => {
      if (!error) recordBuffers.giveBack(chunk)
    })
    if (!more) stream.pause()
  })
  local.on('drain', () => stream.resume())
  stream.once('end', () => local.end())
}

function resetLocal(local: Duplex): void {
  if (local instanceof Socket) resetSocket(local)
  else local.destroy()
}

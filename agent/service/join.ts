import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SessionStream } from '../session/stream.ts'

/**
 * Joins a session stream with a local connection: bytes, half-closes and resets pass through as themselves. Ends when
 * both are closed.
 */
export function join(stream: SessionStream, local: Duplex): void {
  local.on('error', () => undefined)
  stream.on('error', () => undefined)
  local.pipe(stream)
  stream.pipe(local)
  local.once('close', () => {
    if (!stream.writableEnded || !stream.readableEnded) stream.reset('stream-reset', 'the local connection was reset')
  })
  stream.once('close', () => {
    if (stream.errored) resetLocal(local)
    else if (!local.writableEnded) local.end()
  })
}

function resetLocal(local: Duplex): void {
  if (local instanceof Socket) local.resetAndDestroy()
  else local.destroy()
}

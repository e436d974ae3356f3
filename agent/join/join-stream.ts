import type { TLSSocket } from 'node:tls'
import { CulvertError } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** A question and an answer over the slowest line that anybody uses; a guest that takes longer holds a place for nothing. */
export const JOIN_MS = 15_000
const HEAD_BYTES = 4
const EXPORTER_LABEL = 'EXPORTER-culvert-join'
const EXPORTER_BYTES = 32

/** What both ends of this one connection know and nobody else. */
export function joinExporter(stream: Pick<TLSSocket, 'exportKeyingMaterial'>): Uint8Array {
  return stream.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0))
}

/** A sealed stream between a guest and who invited it. */
export interface JoinLine {
  readonly peer: PeerId
  readonly stream: TLSSocket
}

/** One message: u32 length, then its bytes. */
export function sendMessage(stream: TLSSocket, message: Uint8Array): void {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32BE(message.length)
  stream.write(Buffer.concat([head, message]))
}

/** Reads one message. Rejects with `wire-malformed` for one that is longer, `peer-unreachable` when the stream ends before. */
export async function readMessage(
  stream: TLSSocket,
  maxBytes: number,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Buffer> {
  const limit = deadline(clock, JOIN_MS, signal)
  try {
    const head = await readExactly(stream, HEAD_BYTES, limit.signal)
    const length = head.readUInt32BE()
    if (length === 0 || length > maxBytes) throw new CulvertError('wire-malformed', `a message of ${length} bytes`)
    return await readExactly(stream, length, limit.signal)
  } finally {
    limit.done()
  }
}

function readExactly(stream: TLSSocket, length: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let have = Buffer.alloc(0)
    const settle = () => {
      stream.off('readable', look)
      stream.off('end', end)
      stream.off('close', end)
      signal.removeEventListener('abort', stop)
    }
    const end = () => {
      settle()
      reject(new CulvertError('peer-unreachable', 'the other side closed the connection'))
    }
    const stop = () => {
      settle()
      reject(new CulvertError('timed-out', 'no answer came'))
    }
    const look = () => {
      // What is longer than the buffer of the stream comes in pieces.
      for (;;) {
        const part: unknown = stream.read(Math.min(length - have.length, stream.readableLength || 1))
        if (!Buffer.isBuffer(part)) return
        have = Buffer.concat([have, part])
        if (have.length < length) continue
        settle()
        resolve(have)
        return
      }
    }
    stream.on('readable', look)
    stream.on('end', end)
    stream.on('close', end)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    else if (stream.destroyed) end()
    else look()
  })
}

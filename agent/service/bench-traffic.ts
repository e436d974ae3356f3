import type { Duplex } from 'node:stream'
import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { BenchResult } from '../../common/wire/bench-message.ts'
import { recordBuffers } from '../session/buffers.ts'

/** Sends `block` again and again, until the time is over or so many bytes are out (0: any number), then ends. */
export function sendFor(
  stream: Duplex,
  block: Buffer,
  { durationMs, maxBytes }: { readonly durationMs: number; readonly maxBytes: number },
  clock: Clock,
): void {
  const until = clock.now() + durationMs
  const limit = maxBytes === 0 ? Number.POSITIVE_INFINITY : maxBytes
  let sent = 0
  const pump = () => {
    while (!stream.destroyed && sent < limit && clock.now() < until) {
      const part = block.subarray(0, limit - sent)
      sent += part.length
      if (!stream.write(part)) return
    }
    stream.off('drain', pump)
    // A path that takes nothing any more must not keep what comes after it waiting for the last block.
    stream.end()
  }
  stream.on('drain', pump)
  pump()
}

/** Counts what comes until the end, from the first byte to the last; rejects when the stream breaks. */
export function countUntilEnd(stream: Duplex, clock: Clock): Promise<BenchResult> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    let firstAt = 0
    let lastAt = 0
    stream.on('data', (chunk: Buffer) => {
      lastAt = clock.now()
      if (bytes === 0) firstAt = lastAt
      bytes += chunk.length
      recordBuffers.giveBack(chunk)
    })
    stream.once('end', () => resolve({ bytes, ms: Math.round((lastAt - firstAt) * 100) / 100 }))
    const fail = () => reject(stream.errored ?? new CulvertError('stream-reset', 'the measurement broke off'))
    stream.once('close', fail)
    if (stream.destroyed) fail()
  })
}

/** The first `length` bytes of a stream; what follows stays in it. Rejects when it ends before. */
export function readHead(stream: Duplex, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      stream.off('readable', look)
      stream.off('end', fail)
      stream.off('close', fail)
    }
    const look = () => {
      const head: unknown = stream.read(length)
      if (!Buffer.isBuffer(head)) return
      settle()
      if (head.length === length) resolve(Buffer.from(head))
      else reject(new CulvertError('wire-malformed', `${length} bytes were due, and ${head.length} came`))
    }
    const fail = () => {
      settle()
      reject(stream.errored ?? new CulvertError('stream-reset', 'the stream ended before its head'))
    }
    stream.on('readable', look)
    stream.once('end', fail)
    stream.once('close', fail)
  })
}

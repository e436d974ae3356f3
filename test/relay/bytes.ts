import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'

/** A seeded generator (mulberry32): the same numbers on every machine. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function seededBytes(length: number, seed: number): Buffer {
  const next = seeded(seed)
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE(Math.floor(next() * 2 ** 32), i)
  return bytes
}

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Sends all in pieces of changing size, honouring back-pressure, and then the end. */
export async function sendAll(socket: Socket, bytes: Buffer, seed: number): Promise<void> {
  const next = seeded(seed)
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, at + 1 + Math.floor(next() ** 3 * 400_000))
    at += piece.length
    if (!socket.write(piece)) await once(socket, 'drain')
  }
  socket.end()
}

/** Reads to the end, leaving the writing half open; with `slow`, only a little in each few turns of the event loop. */
export async function readAll(socket: Socket, slow = false): Promise<Buffer> {
  const chunks: Buffer[] = []
  let broken: Error | undefined
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (!slow) return
    socket.pause()
    later(20, () => socket.resume())
  })
  socket.on('error', error => {
    broken = error
  })
  await Promise.race([once(socket, 'end'), once(socket, 'close')])
  if (broken) throw broken
  return Buffer.concat(chunks)
}

function later(turns: number, run: () => void): void {
  setImmediate(() => (turns === 0 ? run() : later(turns - 1, run)))
}

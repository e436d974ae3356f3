import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export interface Transfer {
  /** SHA-256 of what went in, and of what came out at the other end, in hex. */
  readonly sent: string
  readonly received: string
  readonly bytes: number
}

/** A service that sends back what it gets. */
export function echoService(socket: Socket): void {
  socket.pipe(socket)
}

/** Sends random bytes through an echo and reads them back: both directions, half-close included. */
export async function transferBothWays(stream: Duplex, bytes: number): Promise<Transfer> {
  const sent = createHash('sha256')
  const received = createHash('sha256')
  const block = randomBytes(65_536)
  let count = 0
  const back = new Promise<void>((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      received.update(chunk)
      count += chunk.length
    })
    stream.once('end', resolve)
    stream.once('error', reject)
    stream.once('close', () => reject(new Error(`the stream closed after ${count} of ${bytes} bytes`)))
  })
  for (let left = bytes; left > 0; left -= block.length) {
    // A different first word in each block, so that a lost or doubled block shows.
    block.writeUInt32BE(left >>> 0, 0)
    const part = Buffer.from(block.subarray(0, Math.min(left, block.length)))
    sent.update(part)
    if (!stream.write(part)) await new Promise<void>(resolve => stream.once('drain', resolve))
  }
  stream.end()
  await back
  return { sent: sent.digest('hex'), received: received.digest('hex'), bytes: count }
}

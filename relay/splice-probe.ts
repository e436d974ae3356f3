import { randomFillSync } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../common/platform/clock.ts'
import { type SpliceMode, splice } from './splice.ts'

const PROBE_BYTES = 200_000
const PROBE_MS = 2_000

/**
 * Finds out whether this Node can splice the fast way, by doing it once over loopback: `stream` when its internals are
 * not there, or no longer do what they did.
 */
export async function probeSpliceMode(clock: Clock): Promise<SpliceMode> {
  const opened: Socket[] = []
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  try {
    const port = await listen(server)
    const [leftOutside, left] = await dialPair(server, port, opened)
    const [rightOutside, right] = await dialPair(server, port, opened)
    const joined = splice({ socket: left, meter: free }, { socket: right, meter: free }, 'fast', () => undefined)
    if (joined.mode !== 'fast') return 'stream'
    return (await carries(leftOutside, rightOutside, clock)) ? 'fast' : 'stream'
  } catch {
    // No loopback or no descriptors: the relay works without the fast way, and its ready line names the mode.
    return 'stream'
  } finally {
    for (const socket of opened) socket.destroy()
    server.close()
  }
}

const free = () => ({ spend: () => true, close: () => undefined })

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address()
      resolve(bound !== null && typeof bound === 'object' ? bound.port : 0)
    })
  })
}

function dialPair(server: Server, port: number, opened: Socket[]): Promise<readonly [Socket, Socket]> {
  return new Promise((resolve, reject) => {
    const outside = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    outside.once('error', reject)
    opened.push(outside)
    server.once('connection', (inside: Socket) => {
      opened.push(inside)
      inside.on('error', () => undefined)
      resolve([outside, inside])
    })
  })
}

/** True when every byte written at one end, and then the end, arrives at the other in time. */
function carries(from: Socket, to: Socket, clock: Clock): Promise<boolean> {
  const sent = randomFillSync(Buffer.allocUnsafe(PROBE_BYTES))
  return new Promise(resolve => {
    const received: Buffer[] = []
    const timer = clock.after(PROBE_MS, () => resolve(false))
    const settle = (ok: boolean) => {
      timer.cancel()
      resolve(ok)
    }
    to.on('data', (chunk: Buffer) => received.push(chunk))
    to.once('end', () => settle(Buffer.concat(received).equals(sent)))
    for (const socket of [from, to]) {
      socket.on('error', () => settle(false))
      socket.once('close', () => settle(false))
    }
    from.end(sent)
  })
}

import type { Socket } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import { dialRelay, type RelayAddress, readHttpHead } from './relay-dial.ts'

const ATTACH_MS = 10_000

/** Takes up one end of a pipe: afterwards the socket carries the peer's bytes. */
export async function attachPipe(
  relay: RelayAddress,
  ticket: Uint8Array,
  clock: Clock,
  signal: AbortSignal,
): Promise<Socket> {
  const limit = deadline(clock, ATTACH_MS, signal)
  try {
    const socket = await dialRelay(relay, clock, limit.signal)
    socket.write(
      `GET /v1/pipe/${Buffer.from(ticket).toString('base64url')} HTTP/1.1\r\nHost: ${relay.url.host}\r\n` +
        'Connection: Upgrade\r\nUpgrade: culvert-pipe\r\n\r\n',
    )
    const status = await readHttpHead(socket, limit.signal)
    if (status === 101) return socket
    socket.destroy()
    throw new CulvertError('relay-refused', `relay ${relay.url.host} refused the pipe (HTTP ${status})`)
  } finally {
    limit.done()
  }
}

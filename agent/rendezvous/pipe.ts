import type { Socket } from 'node:net'
import { CulvertError, type ErrorCode } from '../../common/errors.ts'
import { type Clock, deadline, pause } from '../../common/platform/clock.ts'
import { dialRelay, type RelayAddress, readHttpHead } from './relay-dial.ts'

const ATTACH_MS = 10_000
/** The refusal of a call and the end of its pipe come over two connections, in either order. */
const LATE_REFUSAL_MS = 500

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

/** Why a pipe came to nothing: the callee's refusal, where there is one, says more than that the pipe was closed. */
export async function refusalOr(thrown: unknown, refusal: AbortSignal | undefined, clock: Clock): Promise<unknown> {
  const closed = thrown instanceof CulvertError && LOOKS_CLOSED.has(thrown.code)
  if (refusal && closed) await pause(clock, LATE_REFUSAL_MS, refusal)
  return refusal?.aborted ? refusal.reason : thrown
}

const LOOKS_CLOSED: ReadonlySet<string> = new Set<ErrorCode>(['peer-unreachable', 'relay-unreachable', 'relay-refused'])

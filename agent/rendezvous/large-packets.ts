import { type Clock, deadline } from '../../common/platform/clock.ts'
import { isSecure, openRelayTcp, type RelayAddress, readHttpAnswer, startRelayTls } from './relay-dial.ts'

/** With the rest of the request more than one packet of any line but a LAN's jumbo frames. */
const PADDING_BYTES = 1_460
/** Ours: TCP sends what is lost again four times within this, unless a round trip takes half a second. */
const LARGE_MS = 4_000
const SMALL_MS = 4_000

/**
 * Whether packets of full size get to a relay: `lost` when only a small request is answered, undefined when neither is.
 * The request itself is the same, and is refused.
 */
export async function largePacketsPass(
  relay: RelayAddress,
  clock: Clock,
  signal: AbortSignal,
): Promise<'passed' | 'lost' | undefined> {
  if (await isAnswered(relay, PADDING_BYTES, LARGE_MS, clock, signal)) return 'passed'
  return (await isAnswered(relay, 0, SMALL_MS, clock, signal)) ? 'lost' : undefined
}

/** The time is that of the answer alone: a connection that takes long, or fails, says nothing about sizes. */
async function isAnswered(
  relay: RelayAddress,
  paddingBytes: number,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const tcp = await openRelayTcp(relay, clock, signal)
  try {
    const socket = isSecure(relay.url) ? await startRelayTls(relay, tcp, clock, signal) : tcp
    const limit = deadline(clock, limitMs, signal)
    try {
      const padding = paddingBytes === 0 ? '' : `X-Padding: ${'.'.repeat(paddingBytes)}\r\n`
      socket.write(`GET /v1/agent HTTP/1.1\r\nHost: ${relay.url.host}\r\nConnection: close\r\n${padding}\r\n`)
      await readHttpAnswer(socket, limit.signal)
      return true
    } catch (thrown) {
      // Whoever closes the connection has got the request.
      if (!limit.signal.aborted || signal.aborted) throw thrown
      return false
    } finally {
      limit.done()
      socket.destroy()
    }
  } finally {
    tcp.destroy()
  }
}

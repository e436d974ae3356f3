import { isIPv4 } from 'node:net'
import { type Clock, deadline, pause } from '../../../common/platform/clock.ts'
import type { Random } from '../../../common/platform/random.ts'
import { openUdpSocket } from '../../../common/platform/udp-socket.ts'

/** RFC 6886 §1.1 and RFC 6887 §19.5: where gateways are asked. */
export const CONTROL_PORT = 5351
/** RFC 6887 §8.1.1 begins with 3 s and goes on for ever; a router one cable away answers in milliseconds or not at all. */
const WAITS_MS = [250, 500, 1000] as const
const PATIENCE_MS = 2_000
/** RFC 6887 §8.1.1, RAND: devices that a power cut woke together must not ask together. */
const JITTER_PERCENT = 10

/** One gateway, and the address of ours that it is asked from: it opens ports for that one. */
export interface ControlEnds {
  readonly gateway: string
  readonly client: string
}

export interface ControlDoors {
  readonly clock: Clock
  readonly random: Random
}

/**
 * Sends a request until the gateway gives an answer that `read` takes; undefined when none came in 1.75 s, or the signal
 * aborted. What comes from elsewhere is not looked at.
 */
export async function askGateway<T>(
  ends: ControlEnds,
  request: Uint8Array,
  read: (answer: Buffer) => T | undefined,
  doors: ControlDoors,
  signal: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController()
  const limit = deadline(doors.clock, PATIENCE_MS, AbortSignal.any([signal, over.signal]))
  let answer: T | undefined
  try {
    await using socket = await openUdpSocket({ family: isIPv4(ends.client) ? 4 : 6, address: ends.client })
    socket.receive((bytes, from) => {
      if (from.port !== CONTROL_PORT || from.address !== ends.gateway || answer !== undefined) return
      answer = read(bytes)
      if (answer !== undefined) over.abort()
    })
    for (const waitMs of WAITS_MS) {
      socket.send(request, { address: ends.gateway, port: CONTROL_PORT })
      const jitter = doors.random.integer(100 - JITTER_PERCENT, 101 + JITTER_PERCENT) / 100
      if (!(await pause(doors.clock, waitMs * jitter, limit.signal))) break
    }
  } catch {
    // The address is no longer ours, or UDP is not to be had: nobody answered.
  } finally {
    limit.done()
  }
  return signal.aborted ? undefined : answer
}

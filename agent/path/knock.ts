import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { type PeerId, peerIdToBytes } from '../../common/wire/peer-id.ts'

/** Nonce (16) and HMAC-SHA256 (first 16 bytes), keyed by the peer id that is called. */
export const KNOCK_BYTES = 32
const NONCE_BYTES = 16

/** A caller sends its knock together with its first handshake bytes; later than this nobody is calling. */
export const KNOCK_WAIT_MS = 5_000

/**
 * The first bytes on a TCP path. They show that the caller knows whom it calls, so that a scanner that finds the open
 * port gets no answer at all, not even a certificate. It is no proof of identity: the TLS handshake after it is.
 */
export function makeKnock(callee: PeerId, random: Random): Uint8Array {
  const nonce = random.bytes(NONCE_BYTES)
  return Buffer.concat([nonce, tag(callee, nonce)])
}

export function isKnockFor(callee: PeerId, knock: Uint8Array): boolean {
  if (knock.length !== KNOCK_BYTES) return false
  return timingSafeEqual(tag(callee, knock.subarray(0, NONCE_BYTES)), knock.subarray(NONCE_BYTES))
}

/** Reads what may be a knock off a fresh connection and leaves what follows unread. Undefined: close in silence. */
export function readKnock(socket: Socket, clock: Clock): Promise<Uint8Array | undefined> {
  return new Promise(resolve => {
    const settle = (heard: Uint8Array | undefined) => {
      timer.cancel()
      socket.off('readable', look)
      socket.off('end', giveUp)
      socket.off('close', giveUp)
      resolve(heard)
    }
    const giveUp = () => settle(undefined)
    const look = () => {
      const knock: unknown = socket.read(KNOCK_BYTES)
      if (Buffer.isBuffer(knock)) settle(knock)
    }
    const timer = clock.after(KNOCK_WAIT_MS, giveUp)
    socket.on('readable', look)
    // A half-open socket that only sent its end would else hold its place until the time is over.
    socket.on('end', giveUp)
    socket.on('close', giveUp)
  })
}

function tag(callee: PeerId, nonce: Uint8Array): Buffer {
  return createHmac('sha256', peerIdToBytes(callee)).update('culvert/1 knock').update(nonce).digest().subarray(0, 16)
}

import { CulvertError } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { UdpSocket } from '../../common/platform/udp-socket.ts'
import { type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'
import {
  decodeStun,
  encodeStun,
  looksLikeStun,
  STUN_TRANSACTION_BYTES,
  type StunMessage,
} from '../../common/wire/stun.ts'

/** How a request became an answer, or why it did not. */
export type StunOutcome =
  | { readonly kind: 'answered'; readonly outside: Endpoint; readonly from: Endpoint; readonly message: StunMessage }
  /** The server answered, but not with an address; `code` is its error (420: it cannot do what was asked). */
  | { readonly kind: 'refused'; readonly code: number | undefined }
  | { readonly kind: 'silent' }
  | { readonly kind: 'aborted' }

export interface Retransmission {
  /** Wait after the first transmission, in ms; doubled after each further one. */
  readonly rtoMs: number
  readonly tries: number
}

/** RFC 8489 §6.2.1: RTO 500 ms, Rc 7; silent after 39.5 s. */
export const STANDARD_RETRANSMISSION: Retransmission = { rtoMs: 500, tries: 7 }
/** Ours, for discovery: a blocked network is known after 1.4 s, and one lost packet of three does no harm. */
export const QUICK_RETRANSMISSION: Retransmission = { rtoMs: 200, tries: 3 }
/** RFC 8489 §6.2.1, Rm: the last wait is at most this many RTOs. */
const LAST_WAIT_RTOS = 16
/** Outstanding requests on one socket; nobody here asks more than a few dozen at once. */
const MAX_PENDING = 256

/** How long to wait after each transmission, in ms. */
export function retransmissionWaits({ rtoMs, tries }: Retransmission): readonly number[] {
  return Array.from({ length: tries }, (_, i) => {
    const doublings = 2 ** i
    return rtoMs * (i === tries - 1 ? Math.min(doublings, LAST_WAIT_RTOS) : doublings)
  })
}

export interface StunRequestOptions {
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal
  readonly changeRequest?: { readonly address: boolean; readonly port: boolean }
  /** Absent = as in RFC 8489. */
  readonly retransmission?: Retransmission
}

interface Pending {
  /** Decides whether a message from there ends the request, and how. */
  readonly answer: (message: StunMessage, from: Endpoint) => StunOutcome | undefined
  readonly settle: (outcome: StunOutcome) => void
}

/** Owns the receiving side of a UDP socket: answers go to the requests they belong to, the rest to `onOther`. */
export class StunSocket {
  readonly #socket: UdpSocket
  readonly #pending = new Map<string, Pending>()
  #other: (bytes: Buffer, from: Endpoint) => void = () => undefined

  constructor(socket: UdpSocket) {
    this.#socket = socket
    socket.receive((bytes, from) => this.#receive(bytes, from))
  }

  get local(): Endpoint {
    return this.#socket.local
  }

  /** Sets the receiver of everything that is not STUN. It must not throw. */
  onOther(handler: (bytes: Buffer, from: Endpoint) => void): void {
    this.#other = handler
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.#socket.send(bytes, to)
  }

  /** Registers a request by its transaction id; the returned function forgets it. Throws `busy` past 256. */
  expect(transactionId: Uint8Array, pending: Pending): () => void {
    if (this.#pending.size >= MAX_PENDING) {
      throw new CulvertError('busy', `${MAX_PENDING} STUN requests are already waiting on one socket`)
    }
    const key = keyOf(transactionId)
    this.#pending.set(key, pending)
    return () => this.#pending.delete(key)
  }

  #receive(bytes: Buffer, from: Endpoint): void {
    if (!looksLikeStun(bytes)) {
      this.#other(bytes, from)
      return
    }
    // A stranger cannot guess a transaction id, so nothing is parsed for one.
    const pending = this.#pending.get(keyOf(bytes.subarray(8, 8 + STUN_TRANSACTION_BYTES)))
    const message = pending && decodeStun(bytes)
    const outcome = message && pending.answer(message, from)
    if (outcome) pending.settle(outcome)
  }
}

/**
 * Asks a STUN server from this socket for our outside address. Never rejects for what the network does; the answer is
 * taken only with our transaction id and from where it must come (RFC 8489 §6.3; RFC 5780 §4.4 with `changeRequest`).
 */
export function stunRequest(socket: StunSocket, server: Endpoint, options: StunRequestOptions): Promise<StunOutcome> {
  const { clock, random, signal, changeRequest } = options
  if (signal?.aborted) return Promise.resolve({ kind: 'aborted' })
  const transactionId = random.bytes(STUN_TRANSACTION_BYTES)
  const request = encodeStun({
    class: 'request',
    method: 'binding',
    transactionId,
    ...(changeRequest ? { changeRequest } : {}),
  })
  const waits = retransmissionWaits(options.retransmission ?? STANDARD_RETRANSMISSION)
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined
    const settle = (outcome: StunOutcome) => {
      timer?.cancel()
      signal?.removeEventListener('abort', abort)
      forget()
      resolve(outcome)
    }
    const abort = () => settle({ kind: 'aborted' })
    const transmit = (attempt: number) => {
      const wait = waits[attempt]
      if (wait === undefined) {
        settle({ kind: 'silent' })
        return
      }
      socket.send(request, server)
      timer = clock.after(wait, () => transmit(attempt + 1))
    }
    let forget: () => void = () => undefined
    try {
      const answer = (message: StunMessage, from: Endpoint) => answerFrom(message, from, server, changeRequest)
      forget = socket.expect(transactionId, { answer, settle })
    } catch (cause) {
      reject(cause)
      return
    }
    signal?.addEventListener('abort', abort, { once: true })
    transmit(0)
  })
}

/** What a response means; undefined for anything that is no response to a binding request. */
export function outcomeOf(message: StunMessage, from: Endpoint): StunOutcome | undefined {
  if (message.method !== 'binding') return undefined
  if (message.class === 'error') return { kind: 'refused', code: message.errorCode }
  if (message.class !== 'success') return undefined
  const outside = message.xorMappedAddress ?? message.mappedAddress
  // RFC 8489 §6.3.3: an answer with a required attribute that we cannot read ends the transaction as failed.
  if (!outside || message.unknownAttributes) return { kind: 'refused', code: undefined }
  return { kind: 'answered', outside, from, message }
}

function answerFrom(
  message: StunMessage,
  from: Endpoint,
  server: Endpoint,
  change: StunRequestOptions['changeRequest'],
): StunOutcome | undefined {
  const outcome = outcomeOf(message, from)
  const elsewhere = change?.address || change?.port
  if (sameEndpoint(from, server)) {
    // A server that answers from where it was asked has not changed anything, whether it says so or not.
    return outcome?.kind === 'answered' && elsewhere ? { kind: 'refused', code: undefined } : outcome
  }
  if (outcome?.kind !== 'answered' || !elsewhere) return undefined
  const fits = change?.address ? from.address !== server.address : from.address === server.address
  return fits ? outcome : undefined
}

function keyOf(transactionId: Uint8Array): string {
  return Buffer.from(transactionId.buffer, transactionId.byteOffset, transactionId.byteLength).toString('latin1')
}

import { isIPv4 } from 'node:net'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { encodeStun, STUN_TRANSACTION_BYTES } from '../../common/wire/stun.ts'
import { StunSocket, stunRequest } from './stun-client.ts'

/** As far as the first router and not through the next one (RFC 791 §3.2). */
const HOPS = 2
/** Each may be lost, and so may the answers that they let in. */
const OPENERS = 2
const ROUNDS = 2
/** Nobody waits for this, and a late answer would be a wrong verdict. */
const RETRANSMISSION = { rtoMs: 400, tries: 3 }
const LIMIT_MS = 15_000

/**
 * Whether something beyond the first router keeps out what nobody asked for, as a carrier's NAT or a second router does;
 * undefined where that cannot be told. For a NAT that lets in nothing but answers: packets that die behind the first
 * router open that one for another port of the server. When an answer from there comes in, nothing further out had to be
 * opened; when it comes only after a packet went all the way, something had.
 */
export async function isFilteredBeyondRouter(options: {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  readonly servers: readonly Endpoint[]
}): Promise<boolean | undefined> {
  const { clock, random, servers } = options
  const near = servers.find(({ address }) => isIPv4(address))
  const other = servers.find(({ address, port }) => address === near?.address && port !== near.port)
  if (!near || !other) return undefined
  const limit = deadline(clock, LIMIT_MS, options.signal)
  try {
    await using socket = await openUdpSocket({ family: 4 })
    const stun = new StunSocket(socket)
    const request = { clock, random, signal: limit.signal, retransmission: RETRANSMISSION }
    const answers = async (server: Endpoint) => (await stunRequest(stun, server, request)).kind === 'answered'
    const answersFromOther = async () => {
      const change = { changeRequest: { address: false, port: true } }
      return (await stunRequest(stun, near, { ...request, ...change })).kind === 'answered'
    }
    if (!(await answers(near))) return undefined
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < OPENERS; i++) {
        const transactionId = random.bytes(STUN_TRANSACTION_BYTES)
        await socket.sendNear(encodeStun({ class: 'request', method: 'binding', transactionId }), other, HOPS)
      }
      if (await answersFromOther()) return false
    }
    return (await answers(other)) && (await answersFromOther()) ? true : undefined
  } finally {
    limit.done()
  }
}

import { timingSafeEqual } from 'node:crypto'
import { isIPv4, type Socket } from 'node:net'
import { type Clock, deadline, pause } from '../common/platform/clock.ts'
import { dialTcp } from '../common/platform/tcp.ts'
import { openUdpSocket } from '../common/platform/udp-socket.ts'
import { addressKey } from '../common/wire/address-key.ts'
import { addressScope, type Endpoint, sameEndpoint } from '../common/wire/endpoint.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import { REACH_ANSWER_BYTES, reachAnswer, reachContent, reachDatagram, reachProbe } from '../common/wire/reach.ts'
import type { AgentMessage, ReachOutcome } from '../common/wire/relay-message.ts'
import type { Counters } from './counters.ts'
import { KeyedBuckets } from './quota.ts'

export type ReachRequest = Extract<AgentMessage, { readonly type: 'reach' }>

export interface ReachDeskParts {
  readonly clock: Clock
  readonly counters: Counters
  /** Whether an address that a line comes from may be looked at; absent = public ones only. */
  readonly mayProbe?: (address: string) => boolean
}

/** An agent has two ports and looks again when its network changes; what is beyond this is scanning. */
const LINE_LIMITS = { perSecond: 0.1, burst: 12 }
/** One address may stand for many homes behind a carrier's NAT. */
const ADDRESS_LIMITS = { perSecond: 1, burst: 60 }
const MAX_LINES = 50_000
const MAX_ADDRESSES = 20_000
/** Each is a socket for some seconds. */
const MAX_RUNNING = 256
/** A SYN that was lost is sent again after a second (RFC 6298). */
const TCP_MS = 3_500
const UDP_SENDS_AT_MS = [0, 300, 700] as const
const UDP_WAIT_MS = 1_000

/**
 * Looks from outside whether an agent's port is open, at the address that its line comes from and nowhere else: the agent
 * has proven that it is there by the line itself, so nobody can be pointed at. It sends one message that is no request of
 * any protocol.
 */
export class ReachDesk {
  readonly #parts: ReachDeskParts
  readonly #perLine = new KeyedBuckets(() => LINE_LIMITS, MAX_LINES)
  readonly #perAddress = new KeyedBuckets(() => ADDRESS_LIMITS, MAX_ADDRESSES)
  readonly #stop = new AbortController()
  #running = 0

  constructor(parts: ReachDeskParts) {
    this.#parts = parts
  }

  async look(peer: PeerId, address: string, request: ReachRequest): Promise<ReachOutcome> {
    const { counters, mayProbe = isPublic } = this.#parts
    if (!mayProbe(address)) {
      counters.refuse('reach-address')
      return 'refused'
    }
    if (!this.#take(peer, address)) {
      counters.refuse('reach-rate')
      return 'busy'
    }
    this.#running++
    counters.reachChecks++
    try {
      const target = { address, port: request.port }
      const answered =
        request.transport === 'tcp'
          ? await this.#connect(peer, target, request.nonce)
          : await this.#send(peer, target, request.nonce)
      return answered ? 'reached' : 'unreached'
    } finally {
      this.#running--
    }
  }

  /** Ends all looks that are under way. */
  close(): void {
    this.#stop.abort()
  }

  #take(peer: PeerId, address: string): boolean {
    const now = this.#parts.clock.now()
    return (
      this.#running < MAX_RUNNING &&
      this.#perLine.take(peer, 1, now) &&
      this.#perAddress.take(addressKey(address), 1, now)
    )
  }

  async #connect(peer: PeerId, target: Endpoint, nonce: Uint8Array): Promise<boolean> {
    const limit = deadline(this.#parts.clock, TCP_MS, this.#stop.signal)
    let socket: Socket | undefined
    try {
      socket = await dialTcp(target, { signal: limit.signal })
      socket.write(reachProbe(peer, nonce))
      const answer = await firstBytes(socket, REACH_ANSWER_BYTES, limit.signal)
      return answer !== undefined && isAnswer(answer, peer, nonce)
    } catch {
      // Refused, silent or broken: for the agent it is all the same.
      return false
    } finally {
      socket?.destroy()
      limit.done()
    }
  }

  async #send(peer: PeerId, target: Endpoint, nonce: Uint8Array): Promise<boolean> {
    const { clock } = this.#parts
    const heard = new AbortController()
    const over = AbortSignal.any([heard.signal, this.#stop.signal])
    let reached = false
    try {
      // A socket that the agent has never sent to: its NAT must let it in as it would any stranger.
      await using socket = await openUdpSocket({ family: isIPv4(target.address) ? 4 : 6 })
      socket.receive((bytes, from) => {
        const content = reachContent(bytes)
        if (!content || !sameEndpoint(from, target) || !isAnswer(content, peer, nonce)) return
        reached = true
        heard.abort()
      })
      const datagram = reachDatagram(reachProbe(peer, nonce))
      for (const [i, at] of UDP_SENDS_AT_MS.entries()) {
        socket.send(datagram, target)
        const next = UDP_SENDS_AT_MS[i + 1]
        if (!(await pause(clock, next === undefined ? UDP_WAIT_MS : next - at, over))) break
      }
    } catch {
      return false
    }
    return reached
  }
}

function isPublic(address: string): boolean {
  return addressScope(address) === 'public'
}

function isAnswer(bytes: Uint8Array, peer: PeerId, nonce: Uint8Array): boolean {
  return bytes.length === REACH_ANSWER_BYTES && timingSafeEqual(bytes, reachAnswer(peer, nonce))
}

/** The first bytes that come, undefined when the connection ends or the signal aborts before. */
function firstBytes(socket: Socket, length: number, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise(resolve => {
    const end = (bytes?: Buffer) => {
      signal.removeEventListener('abort', giveUp)
      socket.off('readable', look).off('end', giveUp).off('close', giveUp)
      resolve(bytes)
    }
    const giveUp = () => end()
    const look = () => {
      const bytes: unknown = socket.read(length)
      if (Buffer.isBuffer(bytes)) end(bytes)
    }
    socket.on('error', giveUp)
    socket.on('readable', look).on('end', giveUp).on('close', giveUp)
    signal.addEventListener('abort', giveUp, { once: true })
    if (signal.aborted) giveUp()
  })
}

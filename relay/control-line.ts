import type { RawData, WebSocket } from 'ws'
import { CulvertError, reasonOf } from '../common/errors.ts'
import type { Clock, Timer } from '../common/platform/clock.ts'
import { type KeyPair, signBytes } from '../common/platform/ed25519.ts'
import type { Log } from '../common/platform/log.ts'
import type { Random } from '../common/platform/random.ts'
import { type Endpoint, formatEndpoint } from '../common/wire/endpoint.ts'
import type { Chain } from '../common/wire/membership.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import {
  type AgentMessage,
  decodeAgentMessage,
  encodeRelayMessage,
  MAX_RELAY_MESSAGE_BYTES,
  NETWORK_FEATURE,
  REACH_FEATURE,
  RELAY_PROTOCOL,
  type RelayMessage,
} from '../common/wire/relay-message.ts'
import { NONCE_BYTES, relayProof } from '../common/wire/relay-proof.ts'
import {
  type AdmissionTerms,
  type Hello,
  judgeHello,
  judgeProof,
  provenStanding,
  type RefusalKind,
  type Standing,
  type Verdict,
} from './admission.ts'
import type { Counters } from './counters.ts'
import { type Bucket, fullBucket, take } from './quota.ts'
import type { RelayTiming } from './timing.ts'

/** What lines need from the relay around them. One object is shared by all lines. */
export interface ControlLineParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly counters: Counters
  readonly key: KeyPair
  readonly timing: RelayTiming
  terms(): Pick<AdmissionTerms, 'admit' | 'names' | 'networks'>
  /** False when too many handshakes came in this second; asked before signatures are looked at. */
  mayShakeHands(from: Endpoint, tokens: number): boolean
  /** Whether the signatures of a membership hold, and in tokens what it costs to look at them. */
  readonly chains: { prove(chain: Chain): boolean; cost(chain: Chain): number }
  /** False when a refusal of this address was logged a short time ago. */
  mayLogRefusal(from: Endpoint): boolean
  /** The line of another process with this peer's key. */
  rivalOf(peer: PeerId, instance: Uint8Array): ControlLine | undefined
  reconnectWindowMs(): number
  stunFor(localAddress: string): readonly Endpoint[]
  /** Called once, after the welcome. */
  onOpen(line: ControlLine): void
  onMessage(line: ControlLine, message: Exclude<AgentMessage, Hello | { readonly type: 'ping' }>): void
  /** Called once, only for a line that was open. */
  onClose(line: ControlLine): void
}

/** Where a line's connection came from and arrived. */
export interface LineEnds {
  readonly remote: Endpoint
  readonly local: Endpoint
}

const RELAY_FEATURES: readonly string[] = ['pipe', 'presence', REACH_FEATURE, NETWORK_FEATURE]

export const CHECKS_PER_KEEP_ALIVE = 4

/** A line talks a few times a minute; what is beyond this is a fault or an attack. */
const MESSAGE_LIMITS = { perSecond: 50, burst: 200 }
/** Ids in a `watch` that cost as much as one message. */
const WATCHED_PER_TOKEN = 32
/** An agent that lets this much wait for it is not reading. */
const MAX_UNSENT_BYTES = 256 * 1024
const RETRY_SOON_MS = 10_000
const BUSY_RETRY_MS = 2_000
/** A copy of a card stays one until somebody makes a key for it. */
const CLONE_RETRY_MS = 60_000
/** RFC 6455 §7.4.1. */
const CLOSE_POLICY = 1008
const CLOSE_RESTART = 1012

type Admission = Extract<Verdict, { readonly admitted: true }>

type LineState =
  | { readonly name: 'challenged'; readonly nonce: Uint8Array; readonly timer: Timer }
  | { readonly name: 'contested'; readonly timer: Timer }
  | { readonly name: 'open'; readonly peer: PeerId; readonly instance: Uint8Array; readonly standing: Standing }
  | { readonly name: 'closed' }

/**
 * One agent's WebSocket: challenge, hello, welcome, then messages.
 *
 *   challenged ──good hello──▶ open ──▶ closed
 *       │ └─ rival ─▶ contested ─▲ │       ▲
 *       └──── refused, or late ────┴───────┘
 */
export class ControlLine {
  readonly ends: LineEnds
  readonly #socket: WebSocket
  readonly #parts: ControlLineParts
  #state: LineState
  #messages: Bucket
  #heardAt: number
  /** Who waits for a sign of life, or for the end. */
  readonly #challengers = new Set<{ lose(): void; win(): void }>()
  /** Checks since a ping that nothing came after; 0 = no ping is out. */
  #unanswered = 0

  constructor(socket: WebSocket, ends: LineEnds, parts: ControlLineParts) {
    this.#socket = socket
    this.#parts = parts
    this.ends = ends
    this.#heardAt = parts.clock.now()
    this.#messages = fullBucket(MESSAGE_LIMITS, this.#heardAt)
    const nonce = parts.random.bytes(NONCE_BYTES)
    this.#state = { name: 'challenged', nonce, timer: parts.clock.after(parts.timing.helloMs, () => this.#late()) }
    socket.on('message', (data, isBinary) => this.#guard(() => this.#receive(data, isBinary)))
    socket.on('ping', () => this.#guard(() => this.#heard(1)))
    socket.on('pong', () => this.#guard(() => this.#heard(1)))
    // `close` follows every error of a WebSocket, and does all there is to do.
    socket.on('error', cause => parts.log.debug('line failed', { why: cause.message }))
    socket.on('close', () => this.#closed())
    this.#send({ type: 'challenge', protocols: [RELAY_PROTOCOL], relay: parts.key.id, nonce })
  }

  /** The peer at the other end, once it has proven itself. */
  get peer(): PeerId | undefined {
    return this.#state.name === 'open' ? this.#state.peer : undefined
  }

  get instance(): Uint8Array | undefined {
    return this.#state.name === 'open' ? this.#state.instance : undefined
  }

  get standing(): Standing | undefined {
    return this.#state.name === 'open' ? this.#state.standing : undefined
  }

  /** What proves that the peer is a member of a network. */
  get membership(): Chain | undefined {
    const { standing } = this
    return standing?.name === 'guest' ? undefined : standing?.membership
  }

  /** Sends to an open line; a line that does not read is dropped. */
  tell(message: RelayMessage): void {
    if (this.#state.name !== 'open') return
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
      this.#parts.counters.refuse('line-slow')
      this.#socket.terminate()
      return
    }
    this.#send(message)
  }

  /**
   * Called `CHECKS_PER_KEEP_ALIVE` times per keep-alive: pings a line that was silent for 1.5 of it, and drops it when
   * one more brought no answer. Checks are counted, not time, so that a relay that was suspended drops nobody.
   */
  checkAlive(now: number): void {
    if (this.#unanswered > CHECKS_PER_KEEP_ALIVE) this.#socket.terminate()
    else if (this.#unanswered > 0) this.#unanswered++
    else if (now - this.#heardAt > 1.5 * this.#parts.timing.keepAliveMs) {
      this.#unanswered = 1
      this.#socket.ping()
    }
  }

  /** Says that another line of the same peer took over, and closes. */
  replacedBy(newer: ControlLine, sameInstance: boolean): void {
    this.tell({ type: 'replaced', sameInstance, by: formatEndpoint(newer.ends.remote) })
    this.#close(CLOSE_POLICY)
  }

  goAway(): void {
    this.tell({ type: 'going-away', reconnectWindowMs: this.#parts.reconnectWindowMs() })
    this.#close(CLOSE_RESTART)
  }

  /** Its peer may not have it any more. */
  expel(reason: string): void {
    if (this.#state.name === 'open') this.#refuse('membership', reason, RETRY_SOON_MS)
  }

  terminate(): void {
    this.#socket.terminate()
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#state.name === 'closed') return
    if (!isBinary || !Buffer.isBuffer(data) || data.length > MAX_RELAY_MESSAGE_BYTES) {
      this.#refuse('malformed', 'wire-malformed: control messages are binary', RETRY_SOON_MS)
      return
    }
    if (!this.#heard(1)) return
    const message = decodeAgentMessage(data)
    if (message === undefined) return
    if (this.#state.name === 'challenged') this.#shakeHands(message, this.#state.nonce)
    else if (this.#state.name === 'contested') {
      this.#refuse('malformed', 'wire-malformed: a message before the welcome', RETRY_SOON_MS)
    } else if (message.type === 'ping') this.tell({ type: 'pong', id: message.id })
    else if (message.type === 'hello') this.#refuse('malformed', 'wire-malformed: a second hello', RETRY_SOON_MS)
    else if (message.type !== 'watch' || this.#heard(message.peers.length / WATCHED_PER_TOKEN)) {
      this.#parts.onMessage(this, message)
    }
  }

  #shakeHands(message: AgentMessage, relayNonce: Uint8Array): void {
    const { log } = this.#parts
    if (message.type !== 'hello') {
      this.#refuse('malformed', 'wire-malformed: a line begins with hello', RETRY_SOON_MS)
      return
    }
    const verdict = this.#judge(message, relayNonce)
    if (!verdict.admitted) {
      const from = this.ends.remote
      if (this.#parts.mayLogRefusal(from)) {
        log.info('line refused', { peer: shortPeerId(message.peer), why: verdict.reason, from: from.address })
      }
      this.#refuse(verdict.kind, verdict.reason, verdict.retryAfterMs)
      return
    }
    this.#stopTimer()
    const rival = this.#parts.rivalOf(message.peer, message.instance)
    if (rival) this.#contest(rival, message, verdict)
    else this.#open(message, verdict)
  }

  /** Two processes with one key would push each other off for ever, so the first one stays as long as it answers. */
  #contest(rival: ControlLine, hello: Hello, admission: Admission): void {
    const { clock, timing, log, counters } = this.#parts
    const win = () => {
      if (this.#state.name === 'contested') this.#guard(() => this.#open(hello, admission))
    }
    const lose = () => {
      if (this.#state.name !== 'contested') return
      counters.clones++
      const { remote } = this.ends
      if (this.#parts.mayLogRefusal(remote)) {
        const [peer, first] = [shortPeerId(hello.peer), rival.ends.remote.address]
        log.warn('one identity, two processes: the newer one is refused', { peer, first, newer: remote.address })
      }
      const by = formatEndpoint(rival.ends.remote)
      const reason = `another device with the same identity is connected from ${by}; each key belongs to one device`
      this.#refuse('same-identity', reason, CLONE_RETRY_MS)
    }
    this.#state = { name: 'contested', timer: clock.after(timing.contestMs, win) }
    rival.#challengers.add({ lose, win })
    rival.#socket.ping()
  }

  #open({ peer, instance }: Hello, { handshake, standing }: Admission): void {
    const { key, counters, clock, timing } = this.#parts
    this.#stopTimer()
    this.#state = { name: 'open', peer, instance, standing }
    counters.handshakes++
    this.#send({
      type: 'welcome',
      signature: signBytes(key, relayProof(handshake)),
      observed: this.ends.remote.port > 0 ? this.ends.remote : undefined,
      stun: this.#parts.stunFor(this.ends.local.address),
      features: RELAY_FEATURES,
      serverTime: Math.max(0, Math.floor(clock.wallNow())),
      reconnectWindowMs: this.#parts.reconnectWindowMs(),
      keepAliveMs: timing.keepAliveMs,
    })
    this.#parts.onOpen(this)
  }

  /** Only hellos that pass all free checks draw on the handshakes of a second, so that wrong ones keep no agent out. */
  #judge(hello: Hello, relayNonce: Uint8Array): Verdict {
    const { ends } = this
    const relayId = this.#parts.key.id
    const claim = judgeHello(hello, { ...this.#parts.terms(), relayId, relayNonce, local: ends.local })
    if (!claim.admitted) return claim
    const { chains, mayShakeHands } = this.#parts
    const membership = claim.standing.name === 'guest' ? undefined : claim.standing.membership
    if (!mayShakeHands(ends.remote, 1 + (membership ? chains.cost(membership) : 0))) {
      const retryAfterMs = Math.max(BUSY_RETRY_MS, this.#parts.reconnectWindowMs())
      return { admitted: false, kind: 'handshake-rate', reason: 'busy: too many handshakes', retryAfterMs }
    }
    const refusal = judgeProof(hello, claim.handshake)
    if (refusal) return refusal
    const standing = provenStanding(claim.standing, membership === undefined || chains.prove(membership))
    return 'kind' in standing ? standing : { ...claim, standing }
  }

  /** Notes a sign of life, and that it cost `tokens`; false when the line talks too much and was refused. */
  #heard(tokens: number): boolean {
    const now = this.#parts.clock.now()
    this.#heardAt = now
    this.#unanswered = 0
    for (const challenger of this.#challengers) challenger.lose()
    this.#challengers.clear()
    const result = take(this.#messages, MESSAGE_LIMITS, tokens, now)
    this.#messages = result.bucket
    if (!result.taken) this.#refuse('message-rate', 'over-quota: too many messages', RETRY_SOON_MS)
    return result.taken
  }

  #late(): void {
    if (this.#state.name !== 'challenged') return
    this.#parts.counters.refuse('hello-late')
    this.#socket.terminate()
  }

  #refuse(kind: RefusalKind, reason: string, retryAfterMs: number): void {
    this.#parts.counters.refuse(kind)
    this.#send({ type: 'refused', reason: reason.slice(0, 300), retryAfterMs })
    this.#close(CLOSE_POLICY)
  }

  #send(message: RelayMessage): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(encodeRelayMessage(message))
  }

  /** Whatever one agent sends, only its own line can suffer. */
  #guard(run: () => void): void {
    try {
      run()
    } catch (thrown) {
      const known = thrown instanceof CulvertError && thrown.code === 'wire-malformed'
      if (!known) this.#parts.log.error('line handler failed', { why: reasonOf(thrown) })
      this.#refuse('malformed', known ? `wire-malformed: ${reasonOf(thrown)}` : 'internal: relay fault', RETRY_SOON_MS)
    }
  }

  /** The line counts as closed from now on; the WebSocket follows when the agent answers, or soon after. */
  #close(code: number): void {
    this.#socket.close(code)
    this.#closed()
  }

  #closed(): void {
    this.#stopTimer()
    const before = this.#state
    if (before.name === 'closed') return
    // The peer's id has to be there still while the relay takes the line out of its tables.
    if (before.name === 'open') this.#parts.onClose(this)
    this.#state = { name: 'closed' }
    for (const challenger of this.#challengers) challenger.win()
    this.#challengers.clear()
  }

  #stopTimer(): void {
    if (this.#state.name === 'challenged' || this.#state.name === 'contested') this.#state.timer.cancel()
  }
}

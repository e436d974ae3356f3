import type { Clock, Timer } from '../../common/platform/clock.ts'
import { readTcpSegments, readTcpSendBuffer, resentShare, type TcpSegments } from '../../common/platform/kernel-tcp.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { type BulkState, type BulkTransport, bulkStep, CALM, PREFERRED_MS, SAMPLE_MS } from '../path/bulk-choice.ts'
import { choosePath } from '../path/path-choice.ts'
import type { PathLink } from './path-link.ts'
import type { PathMemory } from './path-memory.ts'
import type { Session } from './session.ts'

/** So much is unacknowledged at every look while a long stream flows. */
const BACKLOG_BYTES = 64 * 1024
/** Losses are counted over this many looks: a stream's beginning overfills every queue. */
const SEGMENT_LOOKS = 12

export interface BulkWatchContext {
  readonly peerId: PeerId
  readonly session: Session
  readonly clock: Clock
  readonly memory: PathMemory
  /** Makes a path over UDX, beside the one over TCP. */
  readonly wantUdx: () => void
}

/** Watches a session that sends much, and lets it use the faster of TCP and UDX for as long as it does. */
export class BulkWatch {
  readonly #context: BulkWatchContext
  #state: BulkState = CALM
  #timer: Timer | undefined
  /** Until nothing is preferred any more. */
  #preferred: Timer | undefined
  #closed = false
  /** The two paths that were compared; what was found out holds for no others. */
  #pair: readonly PathLink[] = []
  #active: PathLink | undefined
  /** As the kernel counted them at the last looks, the oldest first. */
  #segments: readonly TcpSegments[] = []
  #bufferBytes: number | undefined

  constructor(context: BulkWatchContext) {
    this.#context = context
  }

  onBacklog(): void {
    if (!this.#timer && !this.#closed) this.#begin()
  }

  /** The network is another one: what was found out in the last one holds no more. */
  forget(): void {
    this.#state = CALM
    this.#pair = []
    this.#preferred?.cancel()
    this.#context.session.prefer(undefined)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#preferred?.cancel()
  }

  #begin(): void {
    this.#preferred?.cancel()
    this.#segments = []
    this.#active = undefined
    // Not in here, where something is being sent.
    this.#later(0)
  }

  #later(ms = SAMPLE_MS): void {
    this.#timer = this.#context.clock.after(ms, () => {
      this.#timer = undefined
      void this.#readKernel()
      if (this.#look() && !this.#closed) this.#later()
    })
  }

  async #readKernel(): Promise<void> {
    this.#bufferBytes ??= await readTcpSendBuffer()
    const now = await readTcpSegments()
    if (now) this.#segments = [...this.#segments.slice(1 - SEGMENT_LOOKS), now]
  }

  /** False when there is nothing to watch any more. */
  #look(): boolean {
    const { session, clock, memory, peerId, wantUdx } = this.#context
    const now = clock.now()
    const { active } = session
    const transport = bulkTransport(active)
    const replaced = active !== this.#active && transport === bulkTransport(this.#active)
    this.#active = active
    if (replaced || this.#pair.some(link => !link.ready)) this.forget()
    const other = transport && choosePath(session.links.filter(link => bulkTransport(link) === otherOf(transport)))
    const { unacknowledgedBytes, bytesOut } = session.sending
    const step = bulkStep(
      this.#state,
      {
        delivered: active?.path.arrivedBytes?.() ?? bytesOut - unacknowledgedBytes,
        backlog: unacknowledgedBytes >= BACKLOG_BYTES,
        full: active?.writable === false,
        transport,
        rttMs: Math.min(session.lineRttMs(), other?.leastRttMs ?? Number.POSITIVE_INFINITY),
        loadedRttMs: session.rttMs,
        otherReady: other !== undefined && !other.suspect,
        remembered: memory.recall(peerId).bulk,
        resent: resentShare(this.#segments[0], this.#segments.at(-1)),
        bufferBytes: this.#bufferBytes,
      },
      now,
    )
    this.#state = step.state
    if (step.learnt) memory.learn(peerId, { bulk: step.learnt })
    if (step.ask) wantUdx()
    if (step.prefer) this.#prefer(step.prefer, active, other)
    if (step.prefer && active && other) this.#pair = [active, other]
    if (!step.over) return true
    if (session.preferred) this.#preferred = clock.after(PREFERRED_MS, () => session.prefer(undefined))
    session.watchBacklog()
    return false
  }

  #prefer(transport: BulkTransport, active: PathLink | undefined, other: PathLink | undefined): void {
    const { session } = this.#context
    // TCP needs no preference to be the first.
    if (transport === 'tcp') session.prefer(undefined)
    else session.prefer(bulkTransport(active) === 'udx' ? active : other)
  }
}

function bulkTransport(link: PathLink | undefined): BulkTransport | undefined {
  return link?.transport === 'tcp' || link?.transport === 'udx' ? link.transport : undefined
}

function otherOf(transport: BulkTransport): BulkTransport {
  return transport === 'tcp' ? 'udx' : 'tcp'
}

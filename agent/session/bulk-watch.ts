import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { type BulkState, type BulkTransport, bulkStep, CALM, SAMPLE_MS } from '../path/bulk-choice.ts'
import type { PathMemory } from './path-memory.ts'
import type { Session } from './session.ts'

/** Looked at this often while nothing long flows. */
const CALM_SAMPLE_MS = 2_000
/** Unacknowledged bytes at every look: somebody has more to send than the path takes. */
const BACKLOG_BYTES = 64 * 1024

export interface BulkWatchContext {
  readonly peerId: PeerId
  readonly session: Session
  readonly clock: Clock
  readonly memory: PathMemory
  /** Makes a path over UDX, beside the one over TCP. */
  readonly wantUdx: () => void
}

/** Watches what a session sends, and lets it try the other transport when that takes long. */
export class BulkWatch {
  readonly #context: BulkWatchContext
  #state: BulkState = CALM
  #timer: Timer | undefined

  constructor(context: BulkWatchContext) {
    this.#context = context
  }

  onBusy(busy: boolean): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (busy) this.#later()
  }

  close(): void {
    this.#timer?.cancel()
  }

  #later(): void {
    const delay = this.#state.name === 'calm' ? CALM_SAMPLE_MS : SAMPLE_MS
    this.#timer = this.#context.clock.after(delay, () => {
      this.#look()
      this.#later()
    })
  }

  #look(): void {
    const { session, clock, memory, peerId, wantUdx } = this.#context
    const transport = bulkTransport(session.active?.transport)
    const { unacknowledgedBytes, bytesOut } = session.sending
    const backlog = unacknowledgedBytes >= BACKLOG_BYTES
    if (!backlog && this.#state.name === 'calm') return
    const otherReady = session.links.some(
      link =>
        link.ready && !link.suspect && link.transport !== transport && bulkTransport(link.transport) !== undefined,
    )
    const { state, prefer, ask, learnt } = bulkStep(
      this.#state,
      {
        delivered: bytesOut - unacknowledgedBytes,
        backlog,
        transport,
        rttMs: session.lineRttMs(),
        otherReady,
        remembered: memory.recall(peerId).bulk,
      },
      clock.now(),
    )
    this.#state = state
    if (prefer) session.prefer(prefer)
    if (learnt) memory.learn(peerId, { bulk: learnt })
    if (ask) {
      if (transport === 'tcp') wantUdx()
      else this.#state = CALM
    }
  }
}

function bulkTransport(transport: string | undefined): BulkTransport | undefined {
  return transport === 'tcp' || transport === 'udx' ? transport : undefined
}

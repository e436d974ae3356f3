/** A question and its answer: as long as routers keep an unanswered UDP mapping (Linux conntrack). */
const SHORT_IDLE_MS = 30_000
/** RFC 4787 §4.3 asks two minutes of NATs; programs that keep a flow alive do so within that. */
const LONG_IDLE_MS = 120_000
/** From here on it is a conversation. */
const CONVERSATION_MS = 2_000
export const MAX_FLOWS = 256

interface Life {
  readonly since: number
  usedAt: number
  /** Something came back after the first moments. */
  conversation: boolean
}

/**
 * Which flow a local program's datagrams belong to, and when one is over: UDP has no end. Bounded: when it is full, the
 * one that was idle longest makes room, as in a router's table.
 */
export class FlowTable<Flow> {
  readonly #flows = new Map<string, Life & { readonly flow: Flow }>()

  get size(): number {
    return this.#flows.size
  }

  all(): readonly Flow[] {
    return [...this.#flows.values()].map(({ flow }) => flow)
  }

  /** The flow of a datagram that goes out now. */
  use(key: string, now: number): Flow | undefined {
    const entry = this.#flows.get(key)
    if (entry) entry.usedAt = now
    return entry?.flow
  }

  /** A datagram came back. */
  answered(key: string, now: number): void {
    const entry = this.#flows.get(key)
    if (!entry) return
    entry.usedAt = now
    entry.conversation ||= now - entry.since >= CONVERSATION_MS
  }

  /** Adds a flow; gives the one that had to go for it. */
  add(key: string, flow: Flow, now: number): Flow | undefined {
    const evicted = this.#flows.size >= MAX_FLOWS ? this.#takeIdlest() : undefined
    this.#flows.set(key, { flow, since: now, usedAt: now, conversation: false })
    return evicted
  }

  /** Does nothing when the key stands for another flow by now. */
  remove(key: string, flow: Flow): void {
    if (this.#flows.get(key)?.flow === flow) this.#flows.delete(key)
  }

  /** Takes out those that have been idle for too long. */
  takeIdle(now: number): readonly Flow[] {
    const idle: Flow[] = []
    for (const [key, entry] of this.#flows) {
      if (now - entry.usedAt < (entry.conversation ? LONG_IDLE_MS : SHORT_IDLE_MS)) continue
      this.#flows.delete(key)
      idle.push(entry.flow)
    }
    return idle
  }

  #takeIdlest(): Flow | undefined {
    let idlest: readonly [string, Life & { readonly flow: Flow }] | undefined
    for (const entry of this.#flows) if (!idlest || entry[1].usedAt < idlest[1].usedAt) idlest = entry
    if (idlest) this.#flows.delete(idlest[0])
    return idlest?.[1].flow
  }
}

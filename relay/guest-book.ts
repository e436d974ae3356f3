import type { PeerId } from '../common/wire/peer-id.ts'
import type { Guest } from '../common/wire/relay-message.ts'

const MAX_GUESTS = 50_000

/** Whom agents with a line expect as guests. A guest may call who expects it, and nobody else. */
export class GuestBook<L> {
  readonly #byLine = new Map<L, readonly Guest[]>()
  readonly #hosts = new Map<PeerId, Set<L>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Replaces what this line expects; beyond the limit in all, nobody is. */
  expect(line: L, guests: readonly Guest[]): void {
    this.forget(line)
    const taken = guests.slice(0, Math.max(0, MAX_GUESTS - this.#size))
    if (taken.length === 0) return
    this.#byLine.set(line, taken)
    this.#size += taken.length
    for (const { id } of taken) {
      const hosts = this.#hosts.get(id)
      if (hosts) hosts.add(line)
      else this.#hosts.set(id, new Set([line]))
    }
  }

  /** The line ended. */
  forget(line: L): void {
    const guests = this.#byLine.get(line) ?? []
    this.#byLine.delete(line)
    this.#size -= guests.length
    for (const { id } of guests) {
      const hosts = this.#hosts.get(id)
      hosts?.delete(line)
      if (hosts?.size === 0) this.#hosts.delete(id)
    }
  }

  /** The lines that expect this guest now; `now` in seconds since 1970. */
  hostsOf(guest: PeerId, now: number): readonly L[] {
    const expects = (line: L) => this.#byLine.get(line)?.some(({ id, notAfter }) => id === guest && now <= notAfter)
    return [...(this.#hosts.get(guest) ?? [])].filter(expects)
  }
}

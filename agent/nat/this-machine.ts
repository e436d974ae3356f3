import type { Clock } from '../../common/platform/clock.ts'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import { addressScope, sameAddress } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** Peers ask with every address that they tell, and may tell as many as the line takes; one look costs a tenth of a ms and more. */
const REMEMBERED_MS = 1_000

export interface ThisMachineOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly interfaces: () => readonly InterfaceAddress[]
  /** The names that are marked on this machine. */
  readonly marks: () => ReadonlySet<string>
}

/** What is on this machine: its addresses and its agents. */
export class ThisMachine {
  readonly #addresses: () => readonly string[]
  readonly #marks: () => ReadonlySet<string>

  constructor({ clock, interfaces, marks }: ThisMachineOptions) {
    this.#addresses = remembered(clock, () => interfaces().map(({ address }) => address))
    this.#marks = remembered(clock, marks)
  }

  /** Loopback has rules of its own; an address that stands on the loopback interface is ours as any other. */
  isOwnAddress(address: string): boolean {
    return addressScope(address) !== 'loopback' && this.#addresses().some(own => sameAddress(own, address))
  }

  /** The peer's agent runs here, in the same network namespace. */
  runs(peer: PeerId): boolean {
    return this.#marks().has(peer)
  }
}

function remembered<T>(clock: Pick<Clock, 'now'>, look: () => T): () => T {
  let seen: { readonly at: number; readonly value: T } | undefined
  return () => {
    const now = clock.now()
    if (!seen || now - seen.at >= REMEMBERED_MS) seen = { at: now, value: look() }
    return seen.value
  }
}

import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import type { DefaultGateway } from './default-gateway.ts'
import { isVirtualInterface } from './interface-kind.ts'

/** What happened to the machine's network: its own addresses, its router, or it slept. */
export type NetworkEvent = 'addresses' | 'gateway' | 'woke'

/** Ours: Node has no netlink, and one look costs about 0.1 ms. */
const WATCH_PERIOD_MS = 2000
/** Ours: a wall clock that is set is corrected by less than this, or by so much that looking again does no harm. */
const SLEEP_MS = 10_000

/** One look at the machine. */
export interface NetworkSnapshot {
  readonly addresses: string
  readonly gateways: string
  readonly now: number
  /** How far the wall clock is ahead of the monotonic one, which stands still while the machine sleeps. */
  readonly wallOffset: number
}

/** What differs between two looks. Addresses of container bridges come and go and are not counted. */
export function networkEvents(before: NetworkSnapshot, after: NetworkSnapshot): readonly NetworkEvent[] {
  const events: NetworkEvent[] = []
  if (before.addresses !== after.addresses) events.push('addresses')
  if (before.gateways !== after.gateways) events.push('gateway')
  const slept = after.wallOffset - before.wallOffset > SLEEP_MS
  const stood = after.now - before.now > WATCH_PERIOD_MS + SLEEP_MS
  if (slept || stood) events.push('woke')
  return events
}

export interface NetworkWatchOptions {
  readonly clock: Clock
  readonly interfaces: () => readonly InterfaceAddress[]
  readonly gateways: () => readonly DefaultGateway[]
  readonly onEvent: (event: NetworkEvent) => void
}

/** Looks every two seconds and tells what changed. */
export class NetworkWatch implements Disposable {
  readonly #options: NetworkWatchOptions
  readonly #timer: Timer
  #last: NetworkSnapshot

  constructor(options: NetworkWatchOptions) {
    this.#options = options
    this.#last = this.#snapshot()
    this.#timer = options.clock.every(WATCH_PERIOD_MS, () => this.look())
  }

  close(): void {
    this.#timer.cancel()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Compares with the look before. */
  look(): void {
    const before = this.#last
    this.#last = this.#snapshot()
    for (const event of networkEvents(before, this.#last)) this.#options.onEvent(event)
  }

  #snapshot(): NetworkSnapshot {
    const { clock, interfaces, gateways } = this.#options
    const addresses = interfaces().filter(
      ({ loopback, interfaceName }) => !loopback && !isVirtualInterface(interfaceName),
    )
    const now = clock.now()
    return {
      addresses: addresses
        .map(({ interfaceName, address, prefixLength }) => `${interfaceName} ${address}/${prefixLength}`)
        .toSorted()
        .join(','),
      gateways: gateways()
        .filter(({ interfaceName }) => !isVirtualInterface(interfaceName))
        .map(({ interfaceName, address }) => `${interfaceName} ${address}`)
        .join(','),
      now,
      wallOffset: clock.wallNow() - now,
    }
  }
}

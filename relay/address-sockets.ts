import { CulvertError, reasonOf } from '../common/errors.ts'
import type { Clock, Timer } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import type { InterfaceAddress } from '../common/platform/network-interfaces.ts'
import { openUdpSocket, type UdpSocket } from '../common/platform/udp-socket.ts'
import { type AddressScope, addressScope, type Endpoint } from '../common/wire/endpoint.ts'
import type { RelayTiming } from './timing.ts'

/** Where a datagram came in, and the way back from the same address, at either port. */
export interface Arrival {
  readonly family: 4 | 6
  readonly port: 0 | 1
  send(port: 0 | 1, bytes: Uint8Array): void
}

export interface AddressSocketsParts {
  readonly clock: Clock
  readonly log: Log
  readonly timing: RelayTiming
  readonly interfaces: () => readonly InterfaceAddress[]
}

/** Hosts of many containers have an address for each; no agent asks there. */
const MAX_ADDRESSES = 64
const SCOPES: readonly AddressScope[] = ['public', 'loopback', 'private', 'carrier', 'link-local', 'unusable']

/** The addresses to answer on, the likeliest first. */
export function addressesToServe(interfaces: readonly InterfaceAddress[]): readonly string[] {
  const worth = (address: string) => SCOPES.indexOf(addressScope(address))
  const addresses = new Set(interfaces.map(({ address }) => address))
  return [...addresses].toSorted((a, b) => worth(a) - worth(b)).slice(0, MAX_ADDRESSES)
}

/**
 * Two UDP ports on every address of this machine, each with a socket of its own: one for all of them would answer from
 * the address that the route back begins with, which is not always the one that was asked. Follows the machine's addresses.
 */
export class AddressSockets implements AsyncDisposable {
  readonly #ports: readonly [number, number]
  readonly #parts: AddressSocketsParts
  readonly #onDatagram: (bytes: Uint8Array, from: Endpoint, arrival: Arrival) => void
  readonly #open = new Map<string, readonly UdpSocket[]>()
  /** Addresses that the log has told about. */
  readonly #told = new Set<string>()
  #timer: Timer | undefined
  #following: Promise<void> = Promise.resolve()
  #closed = false

  constructor(
    ports: readonly [number, number],
    parts: AddressSocketsParts,
    onDatagram: (bytes: Uint8Array, from: Endpoint, arrival: Arrival) => void,
  ) {
    this.#ports = ports
    this.#parts = parts
    this.#onDatagram = onDatagram
  }

  /** Binds the addresses of now, `port-in-use` when one is taken, and then those that come. */
  async start(): Promise<void> {
    await this.#follow(thrown => {
      if (thrown instanceof CulvertError && thrown.code === 'port-in-use') throw thrown
    })
    const { clock, timing } = this.#parts
    this.#timer = clock.every(timing.addressPollMs, () => {
      this.#following = this.#following
        .then(() => this.#follow((thrown, address) => this.#tell(thrown, address)))
        .catch((thrown: unknown) => this.#tell(thrown, 'any'))
    })
  }

  addresses(): readonly string[] {
    return [...this.#open.keys()]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#following
    await Promise.all([...this.#open.keys()].map(address => this.#drop(address)))
  }

  async #follow(onFailure: (thrown: unknown, address: string) => void): Promise<void> {
    const wanted = addressesToServe(this.#parts.interfaces())
    const gone = [...this.#open.keys()].filter(address => !wanted.includes(address))
    await Promise.all(gone.map(address => this.#drop(address)))
    for (const address of wanted) {
      if (this.#closed) return
      if (this.#open.has(address)) continue
      try {
        await this.#bind(address)
      } catch (thrown) {
        // An IPv6 address that is still being checked for doubles cannot be bound yet (RFC 4862 §5.4).
        onFailure(thrown, address)
      }
    }
  }

  async #bind(address: string): Promise<void> {
    const family = address.includes(':') ? 6 : 4
    await using opened = new AsyncDisposableStack()
    const first = opened.use(await openUdpSocket({ family, address, port: this.#ports[0] }))
    const second = opened.use(await openUdpSocket({ family, address, port: this.#ports[1] }))
    const sockets = [first, second] as const
    for (const port of [0, 1] as const) {
      sockets[port].receive((bytes, from) => {
        this.#onDatagram(bytes, from, { family, port, send: (via, answer) => sockets[via].send(answer, from) })
      })
    }
    opened.move()
    this.#open.set(address, sockets)
    this.#told.delete(address)
  }

  async #drop(address: string): Promise<void> {
    const sockets = this.#open.get(address) ?? []
    this.#open.delete(address)
    await Promise.all(sockets.map(socket => socket.close()))
  }

  #tell(thrown: unknown, address: string): void {
    if (this.#told.has(address) || this.#told.size >= MAX_ADDRESSES) return
    this.#told.add(address)
    this.#parts.log.warn('no STUN over UDP on a new address', { address, why: reasonOf(thrown) })
  }
}

import type { LinkSocket, LinkSocketOptions } from '../../../../../common/platform/link-socket.ts'
import type { Endpoint } from '../../../../../common/wire/endpoint.ts'
import type { FakeClock } from '../../../fake-clock.ts'

interface End extends LinkSocketOptions {
  readonly address: string
  readonly ownPort: number
}

/** One link without wires. What is sent arrives when the clock turns, with the headers of Ethernet, IP and UDP counted. */
export class FakeLink {
  readonly #clock: FakeClock
  readonly #ends = new Set<End>()
  #ports = 30_000
  /** Of a copy of a multicast, for one listener: whether it is lost. */
  loses: () => boolean = () => false
  /** Why no socket can be opened. */
  fault: Error | undefined
  /** Bytes that each address has sent. */
  readonly sent = new Map<string, number>()
  /** Datagrams sent, with the address that sent them. */
  readonly log: { readonly from: Endpoint; readonly bytes: Uint8Array; readonly to: string }[] = []

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  readonly open = (options: LinkSocketOptions): LinkSocket => {
    const end: End = { ...options, ownPort: this.#ports++ }
    if (!this.fault) this.#ends.add(end)
    const { fault } = this
    this.#clock.after(0, () => (fault ? options.onFailure(fault) : options.onReady()))
    const open = () => this.#ends.has(end)
    return {
      get ready() {
        return open()
      },
      ownPort: end.ownPort,
      announce: bytes => this.#send(end, 5353, bytes, end.group.address),
      ask: (bytes, to) => this.#send(end, end.ownPort, bytes, to?.address ?? end.group.address, to?.port),
      answer: (bytes, to) => this.#send(end, 5353, bytes, to.address, to.port),
      close: () => this.#ends.delete(end),
    }
  }

  /** What somebody says who has no socket of ours. */
  say(bytes: Uint8Array, from: Endpoint): void {
    for (const end of this.#ends) end.onDatagram(Buffer.from(bytes), from)
  }

  async #send(end: End, fromPort: number, bytes: Uint8Array, address: string, port?: number): Promise<void> {
    const from = { address: end.address, port: fromPort }
    this.sent.set(end.address, (this.sent.get(end.address) ?? 0) + bytes.length + (address.includes(':') ? 62 : 42))
    this.log.push({ from, bytes, to: address })
    this.#clock.after(0, () => {
      for (const other of this.#ends) {
        const takes = port === undefined ? other.group.address === address && !this.loses() : port === other.ownPort
        if (takes) other.onDatagram(Buffer.from(bytes), from)
      }
    })
  }
}

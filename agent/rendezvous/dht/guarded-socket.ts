import { EventEmitter } from 'node:events'
import type { UdpSocket } from '../../../common/platform/udp-socket.ts'
import { type AddressScope, addressScope, type Endpoint, formatEndpoint } from '../../../common/wire/endpoint.ts'

/** BEP 5 answers are some hundred bytes; a value with its head fits into one packet. */
const MAX_PACKET_BYTES = 1_500
/** Of one run: a search asks some sixty nodes and puts to twenty. */
const MAX_PACKETS = 400
const QUERY = Buffer.from('1:y1:q')
/** How every query of the library ends: transaction, then type. */
const TAIL = /^1:t2:..1:y1:qe$/s
const TAIL_BYTES = 14
/** BEP 43: we answer nothing, so that nobody keeps us in a table. */
const READ_ONLY = Buffer.from('2:roi1e')

/** What the guard let pass. */
export interface DhtTraffic {
  packetsOut: number
  bytesOut: number
  bytesIn: number
}

/**
 * A UDP socket in the form that the library of the DHT takes, which trusts what comes: nothing but answers of nodes that
 * were asked gets to it, nothing that it throws gets out, and it sends to public addresses only, and not without end.
 */
export class GuardedSocket extends EventEmitter {
  readonly traffic: DhtTraffic = { packetsOut: 0, bytesOut: 0, bytesIn: 0 }
  readonly #socket: UdpSocket
  readonly #scopes: ReadonlySet<AddressScope>
  readonly #asked = new Set<string>()

  /** `first`: the nodes that the run begins with, in whose kind of network the others may be. */
  constructor(socket: UdpSocket, first: readonly Endpoint[]) {
    super()
    this.#socket = socket
    this.#scopes = new Set<AddressScope>(['public', ...first.map(({ address }) => addressScope(address))])
    socket.receive((bytes, from) => this.#receive(bytes, from))
  }

  /** As of `node:dgram`. */
  send(buffer: Buffer, _offset: number, _length: number, port: number, host: string, done: () => void): void {
    const { traffic } = this
    const to = { address: host, port }
    const mayGo = port > 0 && port < 65_536 && this.#scopes.has(addressScope(host))
    if (mayGo && traffic.packetsOut < MAX_PACKETS) {
      const bytes = asReadOnly(buffer)
      traffic.packetsOut++
      traffic.bytesOut += bytes.length
      this.#asked.add(formatEndpoint(to))
      this.#socket.send(bytes, to)
    }
    process.nextTick(done)
  }

  address(): Endpoint {
    return this.#socket.local
  }

  close(): void {
    void this.#socket.close().then(() => this.emit('close'))
  }

  #receive(bytes: Buffer, from: Endpoint): void {
    if (bytes.length > MAX_PACKET_BYTES || !this.#asked.has(formatEndpoint(from)) || bytes.includes(QUERY)) return
    this.traffic.bytesIn += bytes.length
    try {
      this.emit('message', bytes, from)
    } catch {
      // An answer in a form that the library does not expect; the question to that node runs out of time.
    }
  }
}

function asReadOnly(query: Buffer): Buffer {
  const at = query.length - TAIL_BYTES
  if (at < 0 || !TAIL.test(query.toString('latin1', at))) return query
  return Buffer.concat([query.subarray(0, at), READ_ONLY, query.subarray(at)])
}

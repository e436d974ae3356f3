import type { Socket } from 'node:net'
import { asCulvertError, CulvertError, systemCodeOf } from '../../common/errors.ts'
import { type Clock, deadline, pause } from '../../common/platform/clock.ts'
import { dialTcp } from '../../common/platform/tcp.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Path } from './path.ts'
import type { Sealer } from './seal.ts'
import { endsOf } from './tcp-path.ts'

/** A router that answers a closed port with RST: both sides must hit the same moment, so the retry is immediate. */
const REFUSED_RETRY_MS = 1
/** More would make us a nuisance to an address that a peer chose; the other side starts within a round trip. */
const MAX_TRIES = 600
/** A port of ours to a port of theirs; beyond this a peer only wants us to connect. */
const MAX_LINES = 48

export interface MeetingOptions {
  readonly peer: PeerId
  readonly role: 'client' | 'server'
  /** How long the two sides may miss each other. */
  readonly forMs: number
  readonly sealer: Sealer
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Our end of a line: a port, at the address that the system chooses where none is given. */
export interface OwnEnd {
  readonly port: number
  readonly address?: string
}

/** How one line ended: connected, refused by a router (or the peer) for good, or otherwise. */
export type LineEnd = 'connected' | 'refused' | 'failed'

/**
 * TCP simultaneous open (RFC 9293 §3.5, RFC 5382 §4.3) along one or several lines, each from a port of ours to one of
 * the peer's. The first SYN opens the sender's own NAT and may be lost at the other's; it is sent again after 1 s and
 * 3 s, and whichever arrives while the other side is connecting too makes the connection. A connect that is pending is
 * therefore never given up for a fresh one. The first line on which the peer proves itself becomes the path.
 */
export class TcpMeeting {
  readonly #options: MeetingOptions
  readonly #limit: ReturnType<typeof deadline>
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #path = Promise.withResolvers<Path>()
  #lines = 0
  #running = 0
  #triesLeft = MAX_TRIES
  #complete = false
  #lastFault: CulvertError | undefined

  constructor(options: MeetingOptions) {
    this.#options = options
    this.#limit = deadline(options.clock, options.forMs, options.signal)
    this.#signal = AbortSignal.any([this.#limit.signal, this.#stop.signal])
    this.#path.promise.catch(() => undefined)
    this.#limit.signal.addEventListener('abort', () => this.#fail(), { once: true })
    // One that was stopped before it began hears nothing of that any more.
    if (this.#limit.signal.aborted) this.#fail()
  }

  /** The sealed path. Rejects with `peer-unreachable`, `timed-out`, `aborted`, or what the proof failed of. */
  get path(): Promise<Path> {
    return this.#path.promise
  }

  /** Connects; `again`: as often as it is refused, since the peer may begin any moment. */
  async line(own: OwnEnd, remote: Endpoint, { again }: { readonly again: boolean }): Promise<LineEnd> {
    if (this.#lines >= MAX_LINES || this.#signal.aborted) return 'failed'
    this.#lines++
    this.#running++
    try {
      const socket = await this.#connect(own, remote, again)
      void this.#seal(socket)
      return 'connected'
    } catch (thrown) {
      this.#lastFault = asCulvertError(thrown, 'peer-unreachable', formatEndpoint(remote))
      return isRefusal(thrown) ? 'refused' : 'failed'
    } finally {
      this.#running--
      this.#look()
    }
  }

  /** No line will be added: the path fails as soon as the last one has. */
  complete(): Promise<Path> {
    this.#complete = true
    this.#look()
    return this.path
  }

  close(): void {
    this.#stop.abort()
    this.#fail()
  }

  async #connect({ port, address }: OwnEnd, remote: Endpoint, again: boolean): Promise<Socket> {
    const from = { localPort: port, ...(address === undefined ? {} : { localAddress: address }) }
    for (;;) {
      try {
        return await dialTcp(remote, { ...from, signal: this.#signal })
      } catch (thrown) {
        if (!again || !isRefusal(thrown) || --this.#triesLeft <= 0 || this.#signal.aborted) throw thrown
        await pause(this.#options.clock, REFUSED_RETRY_MS, this.#signal)
      }
    }
  }

  async #seal(socket: Socket): Promise<void> {
    const { sealer, peer, role } = this.#options
    this.#running++
    try {
      // Not the limit's signal: who has met has time for the handshake.
      const signal = AbortSignal.any([this.#options.signal, this.#stop.signal])
      const { stream } = await sealer.seal(socket, { role, expected: peer, accept: () => true, signal })
      if (this.#stop.signal.aborted) {
        stream.destroy()
        return
      }
      this.#limit.done()
      this.#path.resolve({ kind: 'tcp', transport: 'tcp', how: 'punched', peer, stream, ...endsOf(socket) })
      this.#stop.abort()
    } catch (thrown) {
      this.#lastFault = asCulvertError(thrown, 'peer-unreachable', 'TCP simultaneous open')
    } finally {
      this.#running--
      this.#look()
    }
  }

  #look(): void {
    if (this.#running === 0 && (this.#complete || this.#limit.signal.aborted)) this.#fail()
  }

  /** Settles the path, unless it is; a handshake under way is waited for. */
  #fail(): void {
    const { signal, forMs } = this.#options
    if (this.#running > 0 && !this.#stop.signal.aborted && !signal.aborted) return
    this.#limit.done()
    if (signal.aborted) this.#path.reject(new CulvertError('aborted', 'TCP simultaneous open was aborted'))
    else if (!this.#limit.signal.aborted && this.#lastFault) this.#path.reject(this.#lastFault)
    else this.#path.reject(new CulvertError('timed-out', `the peer did not meet us over TCP in ${forMs} ms`))
  }
}

function isRefusal(thrown: unknown): boolean {
  const code = systemCodeOf(thrown instanceof Error ? thrown.cause : undefined)
  return code === 'ECONNREFUSED' || code === 'ECONNRESET'
}

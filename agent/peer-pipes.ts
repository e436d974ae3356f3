import { CulvertError } from '../common/errors.ts'
import type { Clock } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import type { Random } from '../common/platform/random.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import { CALL_SERVICE, PIPE_SERVICE } from '../common/wire/peer-pipe.ts'
import type { PeerRelayStatus } from './control/status.ts'
import type { AddressRecords } from './rendezvous/address-records.ts'
import type { AddressSources } from './rendezvous/address-source.ts'
import type { Rendezvous } from './rendezvous/rendezvous.ts'
import { PeerRelay, type PeerRelayLimits } from './service/peer-relay.ts'
import { PipeCalls } from './service/pipe-calls.ts'
import type { PeerContext } from './session/peer-context.ts'
import type { Peers } from './session/peers.ts'
import { PipeHomes } from './session/pipe-homes.ts'
import type { SessionStream } from './session/stream.ts'
import type { HomeNetwork } from './trust/home-network.ts'
import type { Trust } from './trust/trust.ts'

export interface PeerPipesOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly limits: () => PeerRelayLimits
  readonly trust: Trust
  readonly home: HomeNetwork
  readonly peers: () => Peers
  readonly rendezvous: () => Rendezvous
  readonly sources: AddressSources
  readonly records: AddressRecords
  readonly onChange: () => void
}

/** Of carriers without a session, which cost a look into their records each, as many as a call is worth. */
const MAX_LOOKED_AT = 16

type Serve = (peer: PeerId, stream: SessionStream) => Promise<void>

/** What peers do for each other where two do not meet: what we carry, who calls us so, and whom we ask. */
export class PeerPipes {
  readonly #options: PeerPipesOptions
  readonly #relay: PeerRelay
  readonly #homes: PipeHomes
  /** The built-in services. */
  readonly services: readonly (readonly [string, Serve])[]
  /** What callers ask. */
  readonly pipes: NonNullable<PeerContext['pipes']>

  constructor(options: PeerPipesOptions) {
    const { clock, random, log, limits, trust, home, peers, rendezvous, sources, records, onChange } = options
    this.#options = options
    const link = (id: PeerId) => peers().peek(id)?.link ?? 'none'
    const isMember = (id: PeerId) => home.current?.isMember(id) ?? false
    const openAt = (id: PeerId, service: string, signal: AbortSignal) => {
      const peer = peers().get(id)
      if (!peer) throw new CulvertError('peer-unknown', 'it is no peer of this device')
      return peer.openStream(service, signal)
    }
    this.#relay = new PeerRelay({
      clock,
      log,
      limits,
      mayMeet: (a, b) => (isMember(a) && isMember(b)) || (trust.isPinned(a) && trust.isPinned(b)),
      link,
      ring: async (id, signal) => openAt(id, CALL_SERVICE, signal),
      nameOf: id => trust.nameOf(id) ?? id,
      onChange,
    })
    const calls = new PipeCalls({ clock, link, peer: id => peers().get(id) })
    this.services = [
      [PIPE_SERVICE, (peer, stream) => this.#relay.serve(peer, stream)],
      [CALL_SERVICE, (peer, stream) => calls.serve(peer, stream)],
    ]
    const carriers = () => {
      const all = records.carriers()
      const from = random.integer(0, Math.max(all.length, 1))
      const away = [...all.slice(from), ...all.slice(0, from)].filter(id => link(id) === 'none')
      return [...all.filter(id => link(id) !== 'none'), ...away.slice(0, MAX_LOOKED_AT)].map(id => ({
        id,
        link: link(id),
        addressed: sources.addresses(id).length > 0,
      }))
    }
    this.pipes = {
      carriers,
      carries: id => records.carriers().includes(id),
      async open(via, service, signal) {
        const stream = await openAt(via, service, signal)
        if (link(via) === 'direct') return stream
        throw withReset(stream, new CulvertError('peer-unreachable', 'no direct path to the peer that carries'))
      },
    }
    this.#homes = new PipeHomes({
      clock,
      random,
      hasRelay: () => rendezvous().connected,
      carriers,
      keep: ids => peers().keepUp(ids),
    })
  }

  /** The config, a relay, or who is trusted has changed. */
  check(): void {
    this.#relay.check()
    this.#homes.look()
  }

  /** Null: this device carries nothing for others. */
  status(): PeerRelayStatus | null {
    const { limits, trust, clock } = this.#options
    const { enabled, mbit, gbPerDay, pipes } = limits()
    if (!enabled) return null
    const name = (id: PeerId) => trust.nameOf(id) ?? id
    const now = clock.now()
    return {
      mbit,
      gbPerDay,
      pipes,
      dayBytes: this.#relay.bytes,
      carried: this.#relay.pipes.map(({ from, to, bytes, since }) => ({
        from: name(from),
        to: name(to),
        bytes,
        sinceS: Math.round((now - since) / 1000),
      })),
    }
  }

  close(): void {
    this.#homes.close()
  }
}

function withReset(stream: SessionStream, error: CulvertError): CulvertError {
  stream.reset(error.code, error.message)
  return error
}

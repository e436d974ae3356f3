import { CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import { connectUdp } from '../../common/platform/local-udp.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { SessionStream } from '../session/stream.ts'
import { EarlyDatagrams } from './early-datagrams.ts'
import { whenFlowEnds } from './flow-end.ts'

/** Each has a socket of its own; half of the streams that a peer may have. */
const MAX_FLOWS_PER_PEER = 512
/** The side that opened a flow ends it after two minutes at most; this is for one that forgets. */
const IDLE_MS = 150_000
const SWEEP_MS = 30_000

interface Served {
  readonly stream: SessionStream
  usedAt: number
}

/** Flows that peers opened to UDP services of this machine, each with a socket of its own towards the service. */
export class ServedFlows {
  readonly #clock: Clock
  readonly #flows = new Map<PeerId, Set<Served>>()
  #sweep: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Accepts a flow, or rejects with why not; `fault` gives the words for a service that does not answer. */
  async serve(
    peer: PeerId,
    stream: SessionStream,
    target: { readonly host: string; readonly port: number },
    fault: (why: string) => CulvertError,
  ): Promise<void> {
    const flows = this.#flows.get(peer) ?? new Set()
    if (flows.size >= MAX_FLOWS_PER_PEER) throw new CulvertError('busy', `${flows.size} flows are open already`)
    const served: Served = { stream, usedAt: this.#clock.now() }
    this.#flows.set(peer, flows.add(served))
    this.#sweep ??= this.#clock.every(SWEEP_MS, () => this.#endIdle())
    const early = new EarlyDatagrams()
    stream.onDatagram = bytes => early.push(bytes) || stream.dropDatagram()
    const ended = Promise.withResolvers<void>()
    whenFlowEnds(stream, () => {
      this.#forget(peer, served)
      ended.resolve()
    })
    const socket = await connectUdp(target.host, target.port).catch((thrown: unknown) => {
      throw fault(reasonOf(thrown))
    })
    void ended.promise.then(() => socket.close())
    if (stream.destroyed) return
    socket.onError(cause => {
      const { code, message } = fault(reasonOf(cause))
      stream.reset(code, message)
    })
    socket.receive(bytes => {
      served.usedAt = this.#clock.now()
      stream.sendDatagram(bytes)
    })
    stream.onDatagram = bytes => {
      served.usedAt = this.#clock.now()
      if (!socket.send(bytes)) stream.dropDatagram()
    }
    stream.accept()
    for (const bytes of early.takeAll()) stream.onDatagram(bytes)
  }

  #forget(peer: PeerId, served: Served): void {
    const flows = this.#flows.get(peer)
    flows?.delete(served)
    if (flows?.size === 0) this.#flows.delete(peer)
    if (this.#flows.size > 0) return
    this.#sweep?.cancel()
    this.#sweep = undefined
  }

  #endIdle(): void {
    const before = this.#clock.now() - IDLE_MS
    for (const flows of this.#flows.values()) {
      for (const { stream, usedAt } of flows) if (usedAt < before) stream.reset('stream-reset', 'idle')
    }
  }
}

import { asCulvertError, type CulvertError } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { SessionStream } from '../session/stream.ts'
import { EarlyDatagrams } from './early-datagrams.ts'
import { whenFlowEnds } from './flow-end.ts'
import { FlowTable } from './flow-table.ts'

const SWEEP_MS = 10_000
/** After a refusal, so long no datagram of that source is carried: a program that sends on must not ask at each one. */
const REFUSED_MS = 2_000

export interface OutgoingFlowsOptions {
  readonly clock: Clock
  readonly open: (signal: AbortSignal) => Promise<SessionStream>
  /** A flow could not be opened, or broke; said once for each. */
  readonly onFault: (error: CulvertError) => void
}

interface Outgoing {
  readonly early: EarlyDatagrams
  readonly ended: AbortController
  stream: SessionStream | undefined
}

/** Flows to one service: one for each local source of datagrams, opened by its first and closed when it is idle. */
export class OutgoingFlows {
  readonly #options: OutgoingFlowsOptions
  readonly #table = new FlowTable<Outgoing>()
  #sweep: Timer | undefined
  #closed = false

  constructor(options: OutgoingFlowsOptions) {
    this.#options = options
  }

  /** A datagram of this source; its answers go to `answer`. */
  send(source: string, bytes: Buffer, answer: (bytes: Buffer) => boolean): void {
    if (this.#closed) return
    const now = this.#options.clock.now()
    const flow = this.#table.use(source, now) ?? this.#begin(source, now, answer)
    if (flow.stream) flow.stream.sendDatagram(bytes)
    else if (!flow.ended.signal.aborted) flow.early.push(bytes)
  }

  close(): void {
    this.#closed = true
    this.#sweep?.cancel()
    for (const flow of this.#table.all()) end(flow, 'the forward was closed')
  }

  #begin(source: string, now: number, answer: (bytes: Buffer) => boolean): Outgoing {
    const flow: Outgoing = { early: new EarlyDatagrams(), ended: new AbortController(), stream: undefined }
    const evicted = this.#table.add(source, flow, now)
    if (evicted) end(evicted, 'too many flows')
    this.#sweep ??= this.#options.clock.every(SWEEP_MS, () => this.#endIdle())
    void this.#open(source, flow, answer)
    return flow
  }

  async #open(source: string, flow: Outgoing, answer: (bytes: Buffer) => boolean): Promise<void> {
    const { clock, open } = this.#options
    try {
      const stream = await open(flow.ended.signal)
      if (flow.ended.signal.aborted) {
        stream.reset('stream-reset', 'the flow ended')
        return
      }
      flow.stream = stream
      whenFlowEnds(stream, error => this.#over(source, flow, error))
      stream.onDatagram = bytes => {
        this.#table.answered(source, clock.now())
        if (!answer(bytes)) stream.dropDatagram()
      }
      for (const bytes of flow.early.takeAll()) stream.sendDatagram(bytes)
    } catch (thrown) {
      this.#over(source, flow, asCulvertError(thrown, 'internal', 'forwarding failed'))
    }
  }

  #over(source: string, flow: Outgoing, error: CulvertError): void {
    if (flow.ended.signal.aborted) return
    flow.ended.abort()
    flow.stream = undefined
    flow.early.takeAll()
    const { clock, onFault } = this.#options
    if (error.code === 'stream-reset') this.#table.remove(source, flow)
    else clock.after(REFUSED_MS, () => this.#table.remove(source, flow))
    onFault(error)
  }

  #endIdle(): void {
    for (const flow of this.#table.takeIdle(this.#options.clock.now())) end(flow, 'idle')
    if (this.#table.size > 0) return
    this.#sweep?.cancel()
    this.#sweep = undefined
  }
}

function end(flow: Outgoing, why: string): void {
  flow.ended.abort()
  flow.stream?.reset('stream-reset', why)
}

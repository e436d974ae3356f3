import type { ErrorCode } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { encodeCredit, encodeFrame, encodeReset, FRAME } from '../../common/wire/session-frame.ts'
import type { Datagrams } from './datagrams.ts'
import { KnownWindow } from './known-window.ts'
import type { Sender } from './sender.ts'
import type { SessionStream, StreamHost } from './stream.ts'
import type { StreamTable } from './stream-table.ts'
import type { WindowBudget, WindowShare } from './window.ts'

interface Parts {
  readonly clock: Clock
  readonly budget: WindowBudget
  readonly sender: Sender
  readonly datagrams: Datagrams
  readonly streams: StreamTable
  readonly control: (frame: Buffer) => void
  /** The last stream is gone. */
  readonly onIdle: () => void
}

/** What the streams of a session send through. */
export class StreamOutlet implements StreamHost {
  readonly clock: Clock
  readonly budget: WindowShare
  readonly knownWindow = new KnownWindow()
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.clock = parts.clock
    this.budget = parts.budget.share()
    this.#parts = parts
  }

  lineRttMs(): number {
    return this.#parts.sender.link?.leastRttMs ?? 0
  }

  wantsToSend(stream: SessionStream): void {
    this.#parts.sender.ready(stream)
  }

  sendCredit(stream: SessionStream, bytes: number): void {
    this.#parts.control(encodeCredit(stream.id, bytes))
  }

  sendAccept(stream: SessionStream): void {
    this.#parts.control(encodeFrame(FRAME.accept, stream.id))
  }

  sendReset(stream: SessionStream, code: ErrorCode, reason: string): void {
    const { streams, control } = this.#parts
    if (streams.get(stream.id) === stream) control(encodeReset(stream.id, code, reason))
  }

  sendDatagram(stream: SessionStream, bytes: Buffer): void {
    const { sender, datagrams } = this.#parts
    // Before the peer has accepted it, a packet might come before the `open`.
    const packets = stream.isAccepted ? sender.link?.packets : undefined
    datagrams.send(stream.id, bytes, packets, this.clock.now())
    if (!packets) sender.schedule()
  }

  dropDatagram(): void {
    this.#parts.datagrams.drop()
  }

  forget(stream: SessionStream): void {
    const { sender, datagrams, streams, onIdle } = this.#parts
    sender.remove(stream)
    datagrams.forget(stream.id)
    if (streams.remove(stream) && streams.size === 0) onIdle()
  }
}

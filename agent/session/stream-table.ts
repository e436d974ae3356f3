import { CulvertError } from '../../common/errors.ts'
import type { SessionStream } from './stream.ts'

/** Streams of one session at a time; with their first windows they may hold 64 MiB. */
export const MAX_STREAMS = 1024
const MAX_STREAM_ID = 0xffff_ffff

/** The streams of one session by number. The side with the smaller id opens odd ones, so that neither has to ask. */
export class StreamTable {
  readonly #streams = new Map<number, SessionStream>()
  readonly #parity: 0 | 1
  #nextOwn: number
  #lastOfPeer = 0

  constructor(opensOdd: boolean) {
    this.#parity = opensOdd ? 1 : 0
    this.#nextOwn = opensOdd ? 1 : 2
  }

  get size(): number {
    return this.#streams.size
  }

  get full(): boolean {
    return this.#streams.size >= MAX_STREAMS
  }

  get(id: number): SessionStream | undefined {
    return this.#streams.get(id)
  }

  all(): readonly SessionStream[] {
    return [...this.#streams.values()]
  }

  /** Throws `busy` when the numbers of this session are used up, after two thousand million streams. */
  nextOwnId(): number {
    const id = this.#nextOwn
    if (id > MAX_STREAM_ID) throw new CulvertError('busy', 'this session has no stream numbers left; it must end first')
    this.#nextOwn += 2
    return id
  }

  add(stream: SessionStream): void {
    this.#streams.set(stream.id, stream)
  }

  /** False when it was not there. */
  remove(stream: SessionStream): boolean {
    return this.#streams.delete(stream.id)
  }

  /** Notes the number of a stream that the peer opens; throws `wire-malformed` when it is not its to open. */
  openedByPeer(id: number): void {
    if (id % 2 === this.#parity || id <= this.#lastOfPeer) {
      throw new CulvertError('wire-malformed', `the peer opened stream ${id}, which is not its to open`)
    }
    this.#lastOfPeer = id
  }

  /** The peer counts its streams from the beginning again. */
  peerRestarted(): void {
    this.#lastOfPeer = 0
  }
}

import { type Duplex, finished } from 'node:stream'
import { asCulvertError, CulvertError } from '../../common/errors.ts'

/** Ends of streams are remembered for this many; a client asks at once, so a few would do. */
const ENDED_LIMIT = 256

/** How a stream ended: whole, or by an error. */
export type StreamEnd = { readonly ended: true } | { readonly ended: false; readonly error: CulvertError }

/**
 * Streams that flow through the control socket. A unix socket cannot carry a reset: to its reader a broken stream looks
 * like one that ended. So each stream has a number, under which its client asks how it ended.
 */
export class StreamDesk {
  readonly #open = new Map<string, { readonly done: Promise<StreamEnd>; readonly cut: () => void }>()
  readonly #ended = new Map<string, StreamEnd>()
  #count = 0

  /** Joins both ways until both are done, and gives the number of the stream. */
  join(client: Duplex, stream: Duplex): { readonly id: string; start(): void } {
    const id = String(++this.#count)
    const done = new Promise<StreamEnd>(resolve => {
      let open = 2
      let end: StreamEnd = { ended: true }
      const settle = (other: Duplex, error: CulvertError | undefined) => {
        if (error && end.ended) {
          end = { ended: false, error }
          this.#remember(id, end)
        }
        if (error) other.destroy(other === stream ? error : undefined)
        if (--open === 0) {
          this.#remember(id, end)
          resolve(end)
        }
      }
      finished(client, thrown => settle(stream, thrown ? clientGone(thrown) : undefined))
      finished(stream, thrown =>
        settle(client, thrown ? asCulvertError(thrown, 'stream-reset', 'the stream was cut') : undefined),
      )
    })
    const cut = () => {
      stream.destroy(new CulvertError('aborted', 'the agent stops'))
      client.destroy()
    }
    this.#open.set(id, { done, cut })
    const start = () => {
      client.pipe(stream)
      stream.pipe(client)
    }
    return { id, start }
  }

  /** How a stream ended, once it did; undefined for a number that was never given out or is long gone. */
  endOf(id: string): Promise<StreamEnd> | undefined {
    const end = this.#ended.get(id)
    return end ? Promise.resolve(end) : this.#open.get(id)?.done
  }

  cutAll(): void {
    for (const { cut } of this.#open.values()) cut()
  }

  #remember(id: string, end: StreamEnd): void {
    this.#open.delete(id)
    this.#ended.set(id, end)
    const oldest = this.#ended.keys().next()
    if (this.#ended.size > ENDED_LIMIT && !oldest.done) this.#ended.delete(oldest.value)
  }
}

function clientGone(cause: unknown): CulvertError {
  return new CulvertError('aborted', 'the local program went away', { cause })
}

import { asCulvertError, CulvertError } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { decodePipeHead, PIPE_HEAD_BYTES } from '../../common/wire/peer-pipe.ts'
import type { Link } from '../session/carriers.ts'
import type { SessionStream } from '../session/stream.ts'
import { readHead } from './bench-traffic.ts'
import { StreamQuota } from './stream-quota.ts'

const HEAD_MS = 10_000
const PER_MINUTE = 60
const AT_ONCE = 16

/** Whoever a call may come from. */
export interface Callee {
  answerPipe(via: PeerId, stream: SessionStream): void
}

export interface PipeCallsOptions {
  readonly clock: Clock
  readonly link: (peer: PeerId) => Link
  /** The caller, if it is a peer of ours. */
  readonly peer: (id: PeerId) => Callee | undefined
}

/** Peers that ring over a pipe which a third one carries. */
export class PipeCalls {
  readonly #options: PipeCallsOptions
  readonly #quota: StreamQuota

  constructor(options: PipeCallsOptions) {
    this.#options = options
    this.#quota = new StreamQuota(options.clock, PER_MINUTE, AT_ONCE)
  }

  async serve(via: PeerId, stream: SessionStream): Promise<void> {
    const { clock, link, peer } = this.#options
    const over = this.#quota.take(via)
    if (!over) {
      stream.reset('busy', 'too many calls over this peer')
      return
    }
    stream.once('close', over)
    const limit = deadline(clock, HEAD_MS)
    const late = () => stream.reset('timed-out', 'the call did not say who calls')
    limit.signal.addEventListener('abort', late, { once: true })
    try {
      const from = decodePipeHead(await readHead(stream, PIPE_HEAD_BYTES))
      if (link(via) !== 'direct') throw new CulvertError('busy', 'no direct path to the peer that carries')
      const callee = from === via ? undefined : peer(from)
      if (!callee) throw new CulvertError('not-authorized', 'the caller is no peer of the one that it called')
      callee.answerPipe(via, stream)
    } catch (thrown) {
      const error = asCulvertError(thrown, 'wire-malformed', 'the call')
      stream.reset(error.code, error.message)
    } finally {
      limit.done()
      limit.signal.removeEventListener('abort', late)
    }
  }
}

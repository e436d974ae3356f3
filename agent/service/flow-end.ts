import { CulvertError } from '../../common/errors.ts'
import type { SessionStream } from '../session/stream.ts'

/** Calls once when a flow is over, with why: `stream-reset` when nothing was wrong. It has no halves to close apart. */
export function whenFlowEnds(flow: SessionStream, over: (why: CulvertError) => void): void {
  flow.on('error', () => undefined)
  flow.once('end', () => flow.end())
  flow.once('close', () => {
    const { errored } = flow
    over(errored instanceof CulvertError ? errored : new CulvertError('stream-reset', 'the flow ended'))
  })
  // Nothing comes but its end.
  flow.resume()
}

import { CulvertError } from '../../common/errors.ts'
import { decodeCredit, decodeReset, FRAME, type Frame } from '../../common/wire/session-frame.ts'
import { remoteCode } from './remote-code.ts'
import type { SessionStream } from './stream.ts'

/** Frames whose stream field names a stream that is open. */
export const STREAM_FRAMES: ReadonlySet<number> = new Set([
  FRAME.data,
  FRAME.credit,
  FRAME.accept,
  FRAME.end,
  FRAME.reset,
])

/** Gives one of them to its stream. Throws `wire-malformed`. */
export function receiveOnStream(frame: Frame, stream: SessionStream): void {
  switch (frame.type) {
    case FRAME.data:
      if (!stream.receiveData(frame.payload)) {
        throw new CulvertError('wire-malformed', `the peer sent more than its credit on stream ${frame.stream}`)
      }
      return
    case FRAME.credit:
      stream.receiveCredit(decodeCredit(frame.payload))
      return
    case FRAME.accept:
      stream.receiveAccept()
      return
    case FRAME.end:
      stream.receiveEnd()
      return
    case FRAME.reset: {
      const { code, reason } = decodeReset(frame.payload)
      stream.receiveReset(remoteCode(code), reason)
      return
    }
    default:
      return
  }
}

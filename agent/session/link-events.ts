import type { CulvertError } from '../../common/errors.ts'
import type { Frame, Hello } from '../../common/wire/session-frame.ts'
import type { PathLink } from './path-link.ts'

/** What a link tells its session. Handlers may throw `wire-malformed`: that ends the link. */
export interface LinkEvents {
  /** The peer's hello came: the path is proven in both directions. */
  onHello(link: PathLink, hello: Hello): void
  /** A sequenced frame with its number. */
  onSequenced(link: PathLink, seq: number, frame: Frame): void
  onAck(link: PathLink, received: number): void
  /** The frame's payload is overwritten afterwards. */
  onDatagram(link: PathLink, frame: Frame): void
  onWritable(link: PathLink): void
  /** Doubtful, suspect or sound again. */
  onVital(link: PathLink): void
  onDown(link: PathLink, reason: CulvertError): void
  /** The peer has ended the session. */
  onOver(): void
}

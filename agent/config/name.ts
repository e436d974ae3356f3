import { parsePeerId } from '../../common/wire/peer-id.ts'

/** Letters, digits, `-`, `_` and `.`, at most 63, the first a letter or digit: fits a DNS label's length and a URL's path. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** True for a name of a peer or a service. What looks like a peer id is none, so that `NAME-or-ID` is never ambiguous. */
export function isName(text: string): boolean {
  return NAME_PATTERN.test(text) && !/^[a-z2-7]{52}$/.test(text)
}

/** A host's name made to fit: `Anna's Pi.local` becomes `Anna-s-Pi`. */
export function nameFromHost(hostname: string): string {
  const label = hostname.split('.')[0] ?? ''
  const fitting = label
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[-_]+|-+$/g, '')
    .slice(0, 50)
  return isName(fitting) ? fitting : 'culvert'
}

/** True for what may stand for a peer: its name or its id. */
export function isPeerText(text: string): boolean {
  return isName(text) || parsePeerId(text) !== undefined
}

/** What a forward leads to and `connect` opens. `peer` is a name or a peer id. */
export interface PeerService {
  readonly peer: string
  readonly service: string
}

/** The two parts of `PEER/SERVICE`, or undefined. */
export function parsePeerService(text: string): PeerService | undefined {
  const [peer = '', service = '', ...rest] = text.split('/')
  return rest.length === 0 && isPeerText(peer) && isName(service) ? { peer, service } : undefined
}

import { isName } from '../../common/wire/name.ts'
import { parsePeerId } from '../../common/wire/peer-id.ts'

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

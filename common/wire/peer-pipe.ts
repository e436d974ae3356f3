import { CulvertError } from '../errors.ts'
import { PEER_ID_BYTES, type PeerId, peerIdFromBytes, peerIdToBytes } from './peer-id.ts'

/** The names of the built-in services; no service of a config can have them. */
export const PIPE_SERVICE = 'culvert:pipe'
export const CALL_SERVICE = 'culvert:call'

/** What such a stream begins with: the peer at the other end. */
export const PIPE_HEAD_BYTES = PEER_ID_BYTES

export function encodePipeHead(peer: PeerId): Buffer {
  return Buffer.from(peerIdToBytes(peer))
}

export function decodePipeHead(bytes: Uint8Array): PeerId {
  if (bytes.length !== PIPE_HEAD_BYTES)
    throw new CulvertError('wire-malformed', `a pipe's head of ${bytes.length} bytes`)
  return peerIdFromBytes(bytes)
}

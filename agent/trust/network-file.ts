import { createHash } from 'node:crypto'
import { type PeerId, parsePeerId, peerIdFromBytes, peerIdToBytes } from '../../common/wire/peer-id.ts'

/** What a device knows of its network besides who is a member. */
export interface NetworkKeys {
  /** The public half of the root key. */
  readonly network: PeerId
  /** 32 bytes that all members know, and nobody else. */
  readonly secret: Uint8Array
}

/**
 * `network/keys`, four lines, as `identity.key` has them:
 *
 *   culvert network 1
 *   network ID
 *   secret  SECRET  in the alphabet of peer ids
 *   sum     HEX     first 16 digits of the SHA-256 of the lines above, with their line ends
 */
const HEAD = 'culvert network 1'

export function encodeNetworkFile({ network, secret }: NetworkKeys): string {
  const lines = `${HEAD}\nnetwork ${network}\nsecret ${peerIdFromBytes(secret)}\n`
  return `${lines}sum ${sumOf(lines)}\n`
}

/** What the file says, or undefined when it is damaged. */
export function decodeNetworkFile(content: string): NetworkKeys | undefined {
  const match = /^(culvert network 1\nnetwork ([a-z2-7]{52})\nsecret ([a-z2-7]{52})\n)sum ([0-9a-f]{16})\n$/.exec(
    content,
  )
  const [, lines = '', network = '', secret = '', sum] = match ?? []
  const [id, key] = [parsePeerId(network), parsePeerId(secret)]
  return id && key && sum === sumOf(lines) ? { network: id, secret: peerIdToBytes(key) } : undefined
}

function sumOf(lines: string): string {
  return createHash('sha256').update(lines).digest('hex').slice(0, 16)
}

import { createHash } from 'node:crypto'
import { type KeyPair, keyPairFromSeed } from '../../common/platform/ed25519.ts'
import { parsePeerId, peerIdFromBytes, peerIdToBytes } from '../../common/wire/peer-id.ts'

/**
 * `identity.key`, four lines:
 *
 *   culvert identity 1
 *   secret SEED     the 32 secret bytes, in the alphabet of peer ids
 *   peer   ID       the public key that the secret makes
 *   sum    HEX      first 16 digits of the SHA-256 of the lines above, with their line ends
 *
 * The id and the sum are there to notice a file that was cut off or mistyped from paper, and to tell which it was.
 */
const HEAD = 'culvert identity 1'
/** `network.key` has the same lines under another head. */
export const ROOT_KEY_HEAD = 'culvert network key 1'

export function encodeKeyFile(key: KeyPair, kind = HEAD): string {
  const lines = `${kind}\nsecret ${peerIdFromBytes(key.seed)}\npeer ${key.id}\n`
  return `${lines}sum ${sumOf(lines)}\n`
}

/** The key pair in a key file, or what is wrong with it as the end of a sentence about the file. */
export function decodeKeyFile(content: string, kind = HEAD): KeyPair | string {
  const [head = '', secret = '', peer = '', sum = '', end, ...rest] = content.split('\n')
  if (content === '') return 'is empty'
  if (head !== kind) {
    return head.replace(/\d+$/, '') === kind.replace(/\d+$/, '')
      ? `has a form that this version does not know ("${head}")`
      : 'is no key file'
  }
  if (end !== '' || rest.length > 0) return 'was cut off or added to'
  if (sum !== `sum ${sumOf(`${head}\n${secret}\n${peer}\n`)}`) return 'was damaged: its check sum does not fit'
  const seed = secret.startsWith('secret ') ? parsePeerId(secret.slice('secret '.length)) : undefined
  if (!seed) return 'has no secret'
  const key = keyPairFromSeed(peerIdToBytes(seed))
  return peer === `peer ${key.id}` ? key : 'has a secret that does not make the id in it'
}

function sumOf(lines: string): string {
  return createHash('sha256').update(lines).digest('hex').slice(0, 16)
}

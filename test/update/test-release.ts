import { createHash } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { encodeReleaseHead, type Manifest } from '../../agent/update/release.ts'
import { type KeyPair, keyPairFromSeed } from '../../common/platform/ed25519.ts'

export const RELEASE_KEY = keyPairFromSeed(new Uint8Array(32).fill(21))

/** A release of a program, which may be the text of a shell script; `changes` are signed with it. */
export function releaseOf(
  version: string,
  program: string | Uint8Array,
  changes: Partial<Manifest> = {},
  key: KeyPair = RELEASE_KEY,
): Buffer {
  const packed = zstdCompressSync(program)
  const sha256 = createHash('sha256').update(packed).digest('hex')
  const manifest = {
    version,
    arch: process.arch,
    bytes: packed.length,
    sha256,
    programBytes: Buffer.byteLength(program),
  }
  return Buffer.concat([encodeReleaseHead({ ...manifest, ...changes }, key), packed])
}

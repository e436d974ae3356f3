import * as z from 'zod/mini'
import { CulvertError } from '../../common/errors.ts'
import { type KeyPair, SIGNATURE_BYTES, signBytes, verifyBytes } from '../../common/platform/ed25519.ts'
import { type PeerId, parsePeerId } from '../../common/wire/peer-id.ts'
import { isVersion } from './version-order.ts'

/**
 * A release is one file: three lines of text, then the program as one Zstandard frame.
 *
 *   culvert update 1
 *   {"version":"0.2.0","arch":"arm64","bytes":31034512,"sha256":"…","programBytes":112345678}
 *   KEY SIGNATURE        the release key as a peer id; Ed25519 over the two lines above, in base64
 *
 * What it is stands before what is in it, so that another board's, an older or a forged one is refused before it is
 * fetched, and nothing of the program is touched before its hash was compared.
 */
const HEAD = 'culvert update 1'
export const MAX_HEAD_BYTES = 2048

/** Ours: twice what a packaged binary has. */
const MAX_BYTES = 128 * 1024 * 1024
const MAX_PROGRAM_BYTES = 256 * 1024 * 1024

export interface Manifest {
  readonly version: string
  /** As `process.arch`. */
  readonly arch: string
  /** Of what follows the head, and its SHA-256 in hex. */
  readonly bytes: number
  readonly sha256: string
  readonly programBytes: number
}

export interface SignedManifest extends Manifest {
  readonly key: PeerId
}

/** Fields that are not named here are for later versions. */
const schema = z.object({
  version: z.string().check(z.refine(isVersion)),
  arch: z.string().check(z.regex(/^[a-z0-9]{1,16}$/)),
  bytes: z.int().check(z.gte(1), z.lte(MAX_BYTES)),
  sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  programBytes: z.int().check(z.gte(1), z.lte(MAX_PROGRAM_BYTES)),
})

export function encodeReleaseHead(manifest: Manifest, key: KeyPair): Buffer {
  const { version, arch, bytes, sha256, programBytes } = manifest
  const signed = Buffer.from(`${HEAD}\n${JSON.stringify({ version, arch, bytes, sha256, programBytes })}\n`)
  const signature = Buffer.from(signBytes(key, signed)).toString('base64')
  return Buffer.concat([signed, Buffer.from(`${key.id} ${signature}\n`)])
}

/** Where the program begins in what has come so far of a file; undefined until the head is whole. */
export function headLength(begun: Uint8Array): number | undefined {
  let end = 0
  for (let line = 0; line < 3; line++) {
    end = begun.indexOf(0x0a, end) + 1
    if (end === 0) break
  }
  if (end > MAX_HEAD_BYTES || (end === 0 && begun.length >= MAX_HEAD_BYTES)) throw refused('it is no culvert update')
  return end === 0 ? undefined : end
}

/** The manifest in a head, if one of these keys has signed it; else `update-refused`. */
export function decodeReleaseHead(head: Uint8Array, keys: readonly PeerId[]): SignedManifest {
  const [first = '', text = '', last = '', end, ...rest] = Buffer.from(head).toString('latin1').split('\n')
  if (first !== HEAD) {
    const later = /^culvert update \d+$/.test(first)
    throw refused(later ? `its form is of a later version ("${first}")` : 'it is no culvert update')
  }
  const [id = '', base64 = '', ...more] = last.split(' ')
  const key = parsePeerId(id)
  const signature = Buffer.from(base64, 'base64')
  if (end !== '' || rest.length > 0 || more.length > 0 || !key || signature.length !== SIGNATURE_BYTES) {
    throw refused('its head is damaged')
  }
  if (!keys.includes(key)) throw refused(`it is signed by ${key}, which is no release key of this machine`)
  if (!verifyBytes(key, Buffer.from(`${first}\n${text}\n`, 'latin1'), signature)) {
    throw refused('its signature does not fit: it was changed, or made by somebody else')
  }
  return { ...manifestIn(text), key }
}

function manifestIn(text: string): Manifest {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new CulvertError('update-refused', 'the update was refused: its manifest is not understood', { cause })
  }
}

export function refused(why: string): CulvertError {
  return new CulvertError('update-refused', `the update was refused: ${why}`)
}

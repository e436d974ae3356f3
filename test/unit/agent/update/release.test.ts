import test from 'ava'
import {
  decodeReleaseHead,
  encodeReleaseHead,
  headLength,
  MAX_HEAD_BYTES,
  type Manifest,
} from '../../../../agent/update/release.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { keyPairFromSeed } from '../../../../common/platform/ed25519.ts'
import { mutateBytes, seededDraw } from '../../mutate.ts'

const KEY = keyPairFromSeed(new Uint8Array(32).fill(7))
const OTHER = keyPairFromSeed(new Uint8Array(32).fill(8))
const MANIFEST: Manifest = {
  version: '0.2.0',
  arch: 'arm64',
  bytes: 31_034_512,
  sha256: 'ab'.repeat(32),
  programBytes: 112_345_678,
}
const HEAD = encodeReleaseHead(MANIFEST, KEY)
const refused = (message: RegExp) => ({ instanceOf: CulvertError, code: 'update-refused', message })

test('the head of a release has this form', t => {
  t.is(
    HEAD.toString(),
    `culvert update 1
{"version":"0.2.0","arch":"arm64","bytes":31034512,"sha256":"${'ab'.repeat(32)}","programBytes":112345678}
5jfgyy7ctrjavpxvkb5rglwf7gkuo5vox27hxescd3vgsfcg2iwa XaGBb2LVRDzRN83xACbnqbACM0Vw2I5zJP0forlOHKn/ClLmNOyk/XaTv5ibln8fUvDd5SXhiiJZZuvq3TCPCQ==
`,
  )
  t.deepEqual(decodeReleaseHead(HEAD, [OTHER.id, KEY.id]), { ...MANIFEST, key: KEY.id })
})

test('a head is whole after its third line, and what is too long or has none is refused at once', t => {
  t.is(headLength(Buffer.concat([HEAD, Buffer.from('\n\n\n')])), HEAD.length)
  for (let length = 0; length < HEAD.length; length++) t.is(headLength(HEAD.subarray(0, length)), undefined)
  t.throws(() => headLength(Buffer.alloc(MAX_HEAD_BYTES)), refused(/no culvert update/))
})

test('what is not signed by a known key, or changed, is refused with the reason', t => {
  t.throws(() => decodeReleaseHead(HEAD, []), refused(/signed by 5jfgyy7ctr\w+, which is no release key/))
  t.throws(() => decodeReleaseHead(HEAD, [OTHER.id]), refused(/no release key of this machine/))
  const text = HEAD.toString()
  const changed = Buffer.from(text.replace('0.2.0', '0.3.0'))
  t.throws(() => decodeReleaseHead(changed, [KEY.id]), refused(/signature does not fit/))
  const later = Buffer.from(text.replace('update 1', 'update 2'))
  t.throws(() => decodeReleaseHead(later, [KEY.id]), refused(/of a later version/))
  t.throws(() => decodeReleaseHead(Buffer.from('\x7fELF\n\n\n'), [KEY.id]), refused(/no culvert update/))
})

test('a manifest that makes no sense is refused, whoever signed it', t => {
  const nonsense = [
    { version: '../../etc' },
    { version: '1.0' },
    { arch: '../x' },
    { bytes: -1 },
    { bytes: 1e12 },
    { bytes: 1.5 },
    { programBytes: 1e12 },
    { sha256: 'xyz' },
  ]
  for (const fields of nonsense) {
    const head = encodeReleaseHead({ ...MANIFEST, ...fields }, KEY)
    t.throws(() => decodeReleaseHead(head, [KEY.id]), refused(/not understood/), JSON.stringify(fields))
  }
})

test('no mutation of a head is taken for another release', t => {
  const draw = seededDraw(11)
  for (let turn = 0; turn < 3_000; turn++) {
    const mutant = mutateBytes(HEAD, draw, MAX_HEAD_BYTES * 2)
    try {
      const length = headLength(mutant)
      if (length === undefined) continue
      t.deepEqual(decodeReleaseHead(mutant.subarray(0, length), [KEY.id]), { ...MANIFEST, key: KEY.id })
    } catch (thrown) {
      if (!(thrown instanceof CulvertError) || thrown.code !== 'update-refused') throw thrown
    }
  }
  t.pass()
})

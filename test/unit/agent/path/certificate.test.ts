import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { certificateFor } from '../../../../agent/path/certificate.ts'
import { generateKeyPair, peerIdOfPublicKey } from '../../../../common/platform/ed25519.ts'
import { ALICE, BOB } from '../../../vectors/keys.ts'

test('a certificate carries the key of its peer, is signed with it, and is valid from 1970 to 9999', t => {
  const certificate = new X509Certificate(certificateFor(ALICE))
  t.is(peerIdOfPublicKey(certificate.publicKey), ALICE.id)
  t.true(certificate.verify(certificate.publicKey))
  t.false(certificate.verify(new X509Certificate(certificateFor(BOB)).publicKey))
  t.is(certificate.validFromDate.getTime(), 0)
  t.is(certificate.validToDate.toISOString(), '9999-12-31T23:59:59.000Z')
})

test('it is the same each time, names nobody, and works for any key', t => {
  t.is(certificateFor(ALICE), certificateFor(ALICE))
  t.is(new X509Certificate(certificateFor(ALICE)).subject, 'CN=culvert')
  for (let i = 0; i < 50; i++) {
    const key = generateKeyPair()
    t.is(peerIdOfPublicKey(new X509Certificate(certificateFor(key)).publicKey), key.id)
  }
})

function opensslHere(): boolean {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false
  }
}

const opensslTest = opensslHere() ? test : test.skip

opensslTest('openssl reads it, and finds its signature good', t => {
  const text = execFileSync('openssl', ['x509', '-text', '-noout'], { input: certificateFor(ALICE), encoding: 'utf8' })
  t.regex(text, /Signature Algorithm: ED25519/i)
  t.regex(text, /Not After *: Dec 31 23:59:59 9999 GMT/)
  t.regex(text, /Issuer: CN ?= ?culvert/)
  const directory = mkdtempSync(join(tmpdir(), 'culvert-certificate-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'peer.crt')
  writeFileSync(file, certificateFor(ALICE))
  const verdict = execFileSync('openssl', ['verify', '-check_ss_sig', '-CAfile', file, file], { encoding: 'utf8' })
  t.regex(verdict, /OK/)
})

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { hostOn, lookAtCertificate, type ServedCertificate } from '../../../relay/certificate-names.ts'
import { makeCertificate, testDir } from '../../relay/certificate.ts'

const DAY = 86_400_000
const now = new Date('2026-06-01T00:00:00Z')
const certificate = (changes: Partial<ServedCertificate>): ServedCertificate => ({
  subject: 'CN=relay.example.org',
  subjectAltName: 'DNS:relay.example.org',
  checkIssued: () => false,
  validFromDate: new Date(now.getTime() - DAY),
  validToDate: new Date(now.getTime() + DAY),
  publicKey: { asymmetricKeyType: 'ec' },
  ...changes,
})

const hosts = [
  ['the first name that has no wildcard', 'DNS:*.example.org, DNS:example.org, DNS:www.example.org', 'example.org'],
  ['the address that it is reached at', 'IP Address:192.0.2.1, IP Address:203.0.113.5', '203.0.113.5'],
  ['another address', 'IP Address:192.0.2.1', '192.0.2.1'],
  ['a name before an address', 'IP Address:203.0.113.5, DNS:relay.example.org', 'relay.example.org'],
  ['no wildcard', 'DNS:*.example.org', undefined],
  ['nothing that is no name', 'DNS:"a\\u0000.example.org"', 'common.example.org'],
  ['the common name, where no other is', undefined, 'common.example.org'],
] as const

for (const [what, subjectAltName, host] of hosts) {
  test(`a relay is dialled by ${what}`, t => {
    t.is(hostOn({ subject: 'O=Example\nCN=common.example.org', subjectAltName }, '203.0.113.5'), host)
  })
}

const look = (changes: Partial<ServedCertificate>, url?: string) => {
  const { faults, warnings } = lookAtCertificate(certificate(changes), { file: '/x.crt', url, now })
  return [faults.map(({ problem }) => problem), warnings.map(({ problem }) => problem)]
}

test('of a good certificate there is nothing to be told', t => t.deepEqual(look({}), [[], []]))

test('a certificate whose time is not now is a fault', t => {
  const [expired = []] = look({ validToDate: new Date(now.getTime() - DAY) })
  t.deepEqual(expired, ['expired on 2026-05-31T00:00:00Z, so agents refuse it'])
  const [early = []] = look({ validFromDate: new Date(now.getTime() + DAY) })
  t.deepEqual(early, ['is valid from 2026-06-02T00:00:00Z on only, so agents refuse it'])
})

test('one that no authority signed is warned of, and so is one that does not tell a host', t => {
  t.regex(String(look({ checkIssued: () => true })[1]), /no certificate authority/)
  const wildcard = { subjectAltName: 'DNS:*.example.org' }
  t.regex(String(look(wildcard)[1]), /names only \*\.example\.org/)
  t.deepEqual(look(wildcard, 'https://relay.example.org'), [[], []])
  t.regex(String(look({ subject: 'CN=My relay', subjectAltName: undefined })[1]), /names no host/)
})

test('a key that agents know by the id needs no authority', t => {
  const own = {
    publicKey: { asymmetricKeyType: 'ed25519' },
    checkIssued: () => true,
    validToDate: new Date(0),
  } as const
  t.deepEqual(look(own), [[], []])
})

test('a real certificate is read alike', t => {
  const dir = testDir(t)
  const [cert, key] = [join(dir, 'x.crt'), join(dir, 'x.key')]
  makeCertificate('relay.example.org', cert, key)
  const made = new X509Certificate(readFileSync(cert))
  t.is(hostOn(made, '203.0.113.5'), 'relay.example.org')
  const { faults, warnings } = lookAtCertificate(made, { file: cert, url: undefined, now: new Date() })
  t.is(faults.length, 0)
  t.is(warnings.length, 1)
})

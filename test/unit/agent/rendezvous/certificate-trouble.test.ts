import test from 'ava'
import { certificateTrouble } from '../../../../agent/rendezvous/certificate-trouble.ts'

const certificate = {
  subject: 'CN=relay.example.org',
  subjectAltName: 'DNS:relay.example.org, IP Address:192.0.2.1',
  validFromDate: new Date('2026-01-01T00:00:00Z'),
  validToDate: new Date('2026-04-01T00:00:00Z'),
}
const usual = { certificate, host: '203.0.113.5', id: true, now: new Date('2027-02-03T04:05:06Z') }

const troubles = [
  [
    'one that expired names both times',
    'CERT_HAS_EXPIRED',
    /^its certificate expired on 2026-04-01T00:00Z, and the clock here says 2027-02-03T04:05Z; .*set the clock/,
  ],
  ['and so does one that is to come', 'CERT_NOT_YET_VALID', /^its certificate is valid from 2026-01-01T00:00Z on, and/],
  [
    'another name is told with those on it',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    /^its certificate is for relay\.example\.org, 192\.0\.2\.1, not for 203\.0\.113\.5; .*"url"/,
  ],
  [
    'an unknown authority is told with the reason',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    /no authority that this device knows \(unable to verify leaf signature\), nor has it the key of the "id"/,
  ],
] as const

for (const [what, code, words] of troubles) {
  test(`a certificate: ${what}`, t => t.regex(certificateTrouble({ ...usual, code }), words))
}

test('without a certificate or an id there is something to be told, too', t => {
  for (const [, code] of troubles) {
    t.truthy(certificateTrouble({ ...usual, code, certificate: undefined, id: false }))
  }
  t.notRegex(certificateTrouble({ ...usual, code: 'X', id: false }), /"id"/)
})

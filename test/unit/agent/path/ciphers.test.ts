import { getCiphers } from 'node:tls'
import test from 'ava'
import { preferredCiphers } from '../../../../agent/path/ciphers.ts'

test('both suites are offered, each known here, in an order that is found once', t => {
  const suites = preferredCiphers().split(':')
  t.deepEqual(suites.toSorted(), ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'])
  for (const suite of suites) t.true(getCiphers().includes(suite.toLowerCase()))
  t.is(preferredCiphers(), preferredCiphers())
})

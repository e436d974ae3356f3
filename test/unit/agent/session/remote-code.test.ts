import test from 'ava'
import { remoteCode } from '../../../../agent/session/remote-code.ts'

test('a reason that a peer may give stays what it is', t => {
  for (const code of ['not-authorized', 'service-unknown', 'busy', 'timed-out'] as const) t.is(remoteCode(code), code)
})

test('codes about ourselves, and words that are no codes, are a plain reset', t => {
  for (const code of ['bad-config', 'internal', 'peer-impersonated', '', 'toString', '__proto__', 'BUSY']) {
    t.is(remoteCode(code), 'stream-reset')
  }
})

import test from 'ava'
import { reasonOf } from '../../../common/errors.ts'

const failed = (code: string, tail: string) =>
  Object.assign(new Error(`connect ${code} ${tail}`), { code, syscall: 'connect' })

test('a connection that cannot be made is told in words, with the code and the address', t => {
  t.is(
    reasonOf(failed('ENETUNREACH', '192.168.5.10:4000 - Local (0.0.0.0:0)')),
    'no route to it from here (ENETUNREACH 192.168.5.10:4000)',
  )
  for (const code of ['ECONNREFUSED', 'EHOSTUNREACH', 'ETIMEDOUT', 'EADDRNOTAVAIL']) {
    t.regex(reasonOf(failed(code, '192.0.2.1:80')), /^[a-z ]+ \(E[A-Z]+ 192\.0\.2\.1:80\)$/)
  }
})

test('what has no words of ours keeps its message', t => {
  t.is(reasonOf(failed('ENOENT', '/run/x.sock')), 'connect ENOENT /run/x.sock')
  t.is(reasonOf(new Error('so it is')), 'so it is')
  t.is(reasonOf(new AggregateError([failed('ETIMEDOUT', '192.0.2.1:80')])), 'no answer came (ETIMEDOUT 192.0.2.1:80)')
})

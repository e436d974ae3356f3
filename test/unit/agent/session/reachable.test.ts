import test from 'ava'
import { reachable } from '../../../../agent/session/reachable.ts'
import type { Candidate } from '../../../../common/wire/candidate.ts'
import { sameAddress } from '../../../../common/wire/endpoint.ts'

const at = (address: string): Candidate => ({ kind: 'tcp', how: 'lan', endpoint: { address, port: 4_000 } })
const isOwn = (address: string) => ['192.168.1.2', '44.5.6.7', '2001:db8::7'].some(own => sameAddress(own, address))

test('a peer may be anywhere but on this machine', t => {
  const there = [at('192.168.1.3'), at('44.5.6.8'), at('2001:db8::8'), at('100.64.0.1')]
  const here = [at('192.168.1.2'), at('44.5.6.7'), at('2001:DB8:0::7'), at('::ffff:44.5.6.7'), at('127.0.0.1')]
  t.deepEqual(reachable([...here, ...there, at('169.254.1.1')], [at('192.168.1.2')], isOwn), there)
})

test('where there is nothing but loopback, peers are there', t => {
  t.deepEqual(reachable([at('127.0.0.1')], [at('127.0.0.1')], isOwn), [at('127.0.0.1')])
  t.deepEqual(reachable([at('127.0.0.1')], [], isOwn), [])
})

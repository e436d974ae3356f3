import test from 'ava'
import { usableStun } from '../../../../agent/rendezvous/usable-stun.ts'

const at = (address: string) => ({ address, port: 3478 })

for (const [relay, told, usable] of [
  ['203.0.113.5', ['203.0.113.5', '192.168.1.1', '127.0.0.1', '100.64.0.1'], ['203.0.113.5']],
  ['192.168.1.9', ['203.0.113.5', '192.168.1.1', '127.0.0.1'], ['203.0.113.5', '192.168.1.1']],
  ['127.0.0.1', ['127.0.0.1', '192.168.1.1'], ['127.0.0.1']],
  [undefined, ['203.0.113.5', '192.168.1.1', '127.0.0.1'], ['203.0.113.5']],
] as const) {
  test(`a relay at ${relay ?? 'an address behind a proxy'} may send us to ${usable.join(' and ')} of ${told.join(', ')}`, t => {
    t.deepEqual(usableStun(told.map(at), relay), usable.map(at))
  })
}

test('more than eight are not asked', t => {
  t.is(
    usableStun(
      Array.from({ length: 100 }, () => at('203.0.113.5')),
      '203.0.113.5',
    ).length,
    8,
  )
})

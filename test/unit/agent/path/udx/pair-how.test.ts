import test from 'ava'
import { howOfPair, localOfPair, type PairView, toldHow } from '../../../../../agent/path/udx/pair-how.ts'
import type { Candidate } from '../../../../../common/wire/candidate.ts'

const at = (address: string, port = 4001) => ({ address, port })
const view = (over: Partial<PairView>): PairView => ({
  remote: at('203.0.113.9'),
  told: 'punched',
  outside: at('198.51.100.7'),
  ownTold: undefined,
  ...over,
})

test('how a pair was made is what makes it possible at either end', t => {
  t.is(howOfPair(view({})), 'punched')
  t.is(howOfPair(view({ remote: at('192.168.1.9'), told: 'lan' })), 'lan')
  t.is(howOfPair(view({ remote: at('2001:db8::9'), told: 'ipv6' })), 'ipv6')
  t.is(howOfPair(view({ told: 'mapped' })), 'mapped')
  t.is(howOfPair(view({ ownTold: 'mapped' })), 'mapped')
  t.is(howOfPair(view({ told: 'public' })), 'public')
  t.is(howOfPair(view({ told: undefined, ownTold: 'public' })), 'public')
  t.is(howOfPair(view({ told: undefined })), 'punched', 'an address that only probes found')
})

test('our own end is an address of an interface', t => {
  const own: readonly Candidate[] = [
    { kind: 'tcp', how: 'lan', endpoint: at('192.168.1.5', 9) },
    { kind: 'udp', how: 'lan', endpoint: at('192.168.1.5') },
    { kind: 'udp', how: 'lan', endpoint: at('100.64.0.5') },
    { kind: 'udp', how: 'ipv6', endpoint: at('2001:db8::5') },
    { kind: 'udp', how: 'mapped', endpoint: at('198.51.100.7') },
  ]
  const bound = at('0.0.0.0')
  t.is(localOfPair(own, at('203.0.113.9'), bound).address, '192.168.1.5')
  t.is(localOfPair(own, at('100.64.0.9'), bound).address, '100.64.0.5')
  t.is(localOfPair(own, at('2001:db8::9'), bound).address, '2001:db8::5')
  t.deepEqual(localOfPair([], at('203.0.113.9'), bound), bound)
  t.is(toldHow(own, at('198.51.100.7')), 'mapped')
  t.is(toldHow(own, at('192.168.1.5', 9)), undefined, 'a TCP candidate')
})

import test from 'ava'
import { chooseHandshake, guessFiltered } from '../../../../../agent/path/datachannel/handshake-role.ts'

const offer = { ufrag: 'u', pwd: 'p', fingerprint: 'f', setup: 'actpass', mapped: false } as const

test('behind a filter the offerer begins the handshake, in the open the answerer', t => {
  t.is(chooseHandshake(offer, true).setup, 'active')
  t.is(chooseHandshake(offer, false).setup, 'actpass')
})

test('only a public IPv4 address of our own is taken for open', t => {
  const address = (text: string, family: 4 | 6) => [
    { interfaceName: 'eth0', address: text, family, prefixLength: 24, loopback: false },
  ]
  t.false(guessFiltered(address('203.0.113.7', 4)))
  t.true(guessFiltered(address('192.168.1.7', 4)))
  t.true(guessFiltered(address('100.64.0.7', 4)))
  t.true(guessFiltered(address('2001:db8::7', 6)))
  t.true(guessFiltered([]))
})

import test from 'ava'
import { conclusion, type NatLook } from '../../../../agent/nat/nat-check.ts'

const OUTSIDE = { address: '198.51.100.7', port: 9 }
const HOME: NatLook = {
  udp: { mapping: 'endpoint-independent', filtering: 'address-dependent', address: OUTSIDE },
  tcp: { mapping: 'endpoint-independent', address: OUTSIDE },
}
const NOTHING = { mapping: 'blocked', filtering: 'blocked', address: undefined } as const
const SILENCE: NatLook = { udp: NOTHING, tcp: { mapping: 'blocked', address: undefined } }
/** The servers' machine is there, and no server runs on it. */
const REFUSED: NatLook = { udp: NOTHING, tcp: { mapping: 'unknown', address: undefined } }

test('a network is blocked only where a relay is reached, or TCP gets an answer', t => {
  for (const silence of [SILENCE, REFUSED]) {
    t.is(conclusion(silence, HOME, true), silence)
    t.is(conclusion(silence, undefined, false), undefined)
  }
  const noUdp = { ...HOME, udp: NOTHING }
  t.is(conclusion(noUdp, HOME, false), noUdp)
})

test('what was seen of this network stays while nobody answers; silence does not', t => {
  t.is(conclusion(SILENCE, HOME, false), HOME)
  t.is(conclusion(REFUSED, SILENCE, false), undefined)
  t.is(conclusion(HOME, SILENCE, false), HOME)
})

import test from 'ava'
import { reachAnswer, reachContent, reachDatagram, reachProbe } from '../../../../common/wire/reach.ts'
import { udpPacketKind } from '../../../../common/wire/udp-packet.ts'
import { ALICE, BOB } from '../../../vectors/keys.ts'
import { REACH_ANSWER, REACH_NONCE, REACH_PROBE } from '../../../vectors/reach.ts'

test('a probe and its answer are made as their vectors', t => {
  t.deepEqual(Buffer.from(reachProbe(BOB.id, REACH_NONCE)), REACH_PROBE)
  t.deepEqual(Buffer.from(reachAnswer(BOB.id, REACH_NONCE)), REACH_ANSWER)
  t.notDeepEqual(Buffer.from(reachProbe(ALICE.id, REACH_NONCE)), REACH_PROBE)
})

test('in a datagram they stand behind a byte of their own', t => {
  const datagram = reachDatagram(REACH_PROBE)
  t.is(udpPacketKind(datagram), 'reach')
  t.deepEqual(Buffer.from(reachContent(datagram) ?? []), REACH_PROBE)
  t.is(reachContent(REACH_PROBE), undefined)
  t.is(reachContent(new Uint8Array(0)), undefined)
})

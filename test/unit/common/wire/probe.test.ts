import test from 'ava'
import { decodeProbe, openProbe, probeKeys, probeTag, sealProbe } from '../../../../common/wire/probe.ts'
import { udpPacketKind } from '../../../../common/wire/udp-packet.ts'
import { fromHex } from '../../../vectors/keys.ts'
import { PROBE_NONCE, PROBE_SECRET, PROBES } from '../../../vectors/probes.ts'

const smaller = probeKeys(PROBE_SECRET, 'smaller')
const larger = probeKeys(PROBE_SECRET, 'larger')

test('every probe has its bytes, and is read by the other side only', t => {
  for (const { hex, plain, message } of PROBES) {
    const packet = sealProbe(smaller.send, PROBE_NONCE, message)
    t.is(packet.toString('hex'), hex)
    t.deepEqual(probeTag(packet), larger.receive.tag)
    t.deepEqual(openProbe(larger.receive, packet), message)
    t.deepEqual(decodeProbe(fromHex(plain)), message)
    t.is(openProbe(smaller.receive, packet), undefined, 'one of our own that comes back')
    t.is(
      openProbe(
        probeKeys(
          PROBE_SECRET.map(byte => byte ^ 1),
          'larger',
        ).receive,
        packet,
      ),
      undefined,
    )
  }
})

test('a probe that is filled up says the same', t => {
  for (const { message } of PROBES) {
    const packet = sealProbe(smaller.send, PROBE_NONCE, message, 1172)
    t.is(packet.length, 1172)
    t.deepEqual(openProbe(larger.receive, packet), message)
  }
})

test('a packet with one bit changed or torn off is no probe', t => {
  for (const { hex } of PROBES) {
    const packet = fromHex(hex)
    for (let at = 9; at < packet.length; at++) {
      const changed = Buffer.from(packet)
      changed[at] = (changed[at] ?? 0) ^ 1
      t.is(openProbe(larger.receive, changed), undefined)
    }
    for (let length = 0; length < packet.length; length++) {
      t.is(openProbe(larger.receive, packet.subarray(0, length)), undefined)
    }
  }
  t.is(probeTag(Buffer.alloc(100)), undefined)
  t.is(probeTag(Buffer.of(0xc5, 1, 2)), undefined)
})

test('a probe of a kind that is not known is skipped', t => {
  t.is(decodeProbe(fromHex('09')), undefined)
  t.is(decodeProbe(fromHex('00')), undefined)
})

test('the first byte tells what a datagram is', t => {
  const kind = (...bytes: readonly number[]) => udpPacketKind(Uint8Array.from(bytes))
  t.deepEqual([kind(0, 1), kind(3), kind(0xc5), kind(0xc6)], ['stun', 'stun', 'probe', 'datagram'])
  for (const first of [4, 20, 63, 64, 128, 191, 255]) t.is(kind(first), undefined)
  t.is(kind(), undefined)
})

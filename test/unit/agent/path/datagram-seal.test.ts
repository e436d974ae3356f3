import { hkdfSync } from 'node:crypto'
import test from 'ava'
import { DatagramSeal, type KeySource, SEAL_BYTES } from '../../../../agent/path/datagram-seal.ts'
import { fromHex } from '../../../vectors/keys.ts'
import { SEALED } from '../../../vectors/sealed-datagrams.ts'
import { mutateBytes, seededDraw } from '../../mutate.ts'

/** What both ends of one TLS connection would export. */
function keysOf(secret: string, cipher = 'TLS_AES_128_GCM_SHA256'): KeySource {
  return {
    exportKeyingMaterial: (length, label, context) => Buffer.from(hkdfSync('sha256', secret, label, context, length)),
    getCipher: () => ({ name: cipher }),
  }
}

function pair(cipher?: string): readonly [DatagramSeal, DatagramSeal] {
  const keys = keysOf('one path', cipher)
  return [new DatagramSeal(keys, true), new DatagramSeal(keys, false)]
}

for (const cipher of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']) {
  test(`packets are opened once, in any order, by the other end only (${cipher})`, t => {
    const [near, far] = pair(cipher)
    const packets = Array.from({ length: 200 }, (_, i) => near.seal(Buffer.from(`packet ${i}`)))
    const opened = packets.toReversed().map(packet => String(far.open(packet)))
    t.deepEqual(opened, packets.map((_, i) => `packet ${i}`).toReversed())
    for (const packet of packets) t.is(far.open(packet), undefined)
    t.is(near.open(packets[0] ?? Buffer.alloc(0)), undefined)
    t.deepEqual(near.open(far.seal(Buffer.from('back'))), Buffer.from('back'))
    t.is(new DatagramSeal(keysOf('another path', cipher), false).open(packets[0] ?? Buffer.alloc(0)), undefined)
  })
}

test('a packet is as its vector', t => {
  const source: KeySource = {
    exportKeyingMaterial(length, label, context) {
      t.is(label, 'EXPORTER-culvert-datagrams')
      t.deepEqual(context, fromHex(SEALED.context))
      return fromHex(SEALED.key + SEALED.iv).subarray(0, length)
    },
    getCipher: () => ({ name: 'TLS_AES_128_GCM_SHA256' }),
  }
  const near = new DatagramSeal(source, true)
  for (let number = 0; number < SEALED.number; number++) near.seal(Buffer.alloc(0))
  const packet = near.seal(fromHex(SEALED.plain))
  t.deepEqual(packet, fromHex(SEALED.packet))
  t.deepEqual(new DatagramSeal(source, false).open(packet), fromHex(SEALED.plain))
})

test('empty and largest packets pass, and cost 23 bytes', t => {
  const [near, far] = pair()
  for (const length of [0, 1, 1_400, 65_000]) {
    const packet = near.seal(Buffer.alloc(length, 7))
    t.is(packet.length, length + SEAL_BYTES)
    t.deepEqual(far.open(packet), Buffer.alloc(length, 7))
  }
})

test('20,000 mutations of packets are dropped, and do no harm to those that follow', t => {
  const [near, far] = pair()
  const draw = seededDraw(7)
  const originals = Array.from({ length: 20 }, () => near.seal(Buffer.alloc(40, 'x')))
  for (const packet of originals) far.open(packet)
  for (let i = 0; i < 20_000; i++) {
    t.is(far.open(mutateBytes(originals[i % 20] ?? Buffer.alloc(0), draw, 2_000)), undefined)
  }
  t.deepEqual(far.open(near.seal(Buffer.from('still here'))), Buffer.from('still here'))
})

test('a forged number far ahead derives no keys and moves nothing', t => {
  let derived = 0
  const keys = keysOf('one path')
  const counting: KeySource = {
    ...keys,
    exportKeyingMaterial(length, label, context) {
      derived++
      return keys.exportKeyingMaterial(length, label, context)
    },
  }
  const far = new DatagramSeal(counting, false)
  const near = new DatagramSeal(keys, true)
  const forged = near.seal(Buffer.alloc(40))
  for (let number = 2 ** 23; number < 2 ** 47; number *= 2) {
    forged.writeUIntBE(number, 1, 6)
    t.is(far.open(forged), undefined)
  }
  t.is(derived, 0)
  t.deepEqual(far.open(near.seal(Buffer.from('next'))), Buffer.from('next'))
})

import test from 'ava'
import {
  dhtItem,
  epochAt,
  MAX_VALUE_BYTES,
  openSealed,
  sealRecord,
} from '../../../../../agent/rendezvous/dht/dht-item.ts'
import { pairSecret } from '../../../../../common/platform/pair-secret.ts'
import { systemRandom } from '../../../../../common/platform/random.ts'
import { type PeerId, peerIdFromBytes, peerIdToBytes } from '../../../../../common/wire/peer-id.ts'
import { RECORD_HEX } from '../../../../vectors/address-records.ts'
import { ALICE, BOB, fromHex, RELAY } from '../../../../vectors/keys.ts'
import { mutateBytes, seededDraw } from '../../../mutate.ts'

const SECRET = new Uint8Array(32).fill(0x5e)
const ITEM_KEY = 'a979da2572a2be6f2e915fe04a905e4a1e4605768c3eef8bc1d3bb1abbd4fe47'
const SEAL_KEY = 'a3855b3b93bb31669476f53f81490044907cd551b942c2329135e1112bf5a466'
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')

test('two identities have one secret, another one for each pair', t => {
  const ours = hex(pairSecret(ALICE, BOB.id))
  t.is(ours, hex(pairSecret(BOB, ALICE.id)))
  t.is(ours, '5166f24a6918368e2af831a4affadd97af0ac326bdf143596c045967cc00230e')
  t.not(ours, hex(pairSecret(ALICE, RELAY.id)))
  const point = (byte: number) => peerIdFromBytes(new Uint8Array(32).fill(0).fill(byte, 0, 1))
  // Of small order: everybody would know what comes out.
  for (const weak of [point(0), point(1), 'a'.repeat(52) as PeerId]) t.is(pairSecret(ALICE, weak), undefined)
})

test('the item of a peer is the same for all who know the secret, and another one each day', t => {
  const item = dhtItem(SECRET, ALICE.id, 20_000)
  t.is(item.key.id, dhtItem(SECRET, ALICE.id, 20_000).key.id)
  t.is(hex(peerIdToBytes(item.key.id)), ITEM_KEY)
  t.is(hex(item.sealKey), SEAL_KEY)
  for (const other of [
    dhtItem(SECRET, ALICE.id, 20_001),
    dhtItem(SECRET, BOB.id, 20_000),
    dhtItem(new Uint8Array(32), ALICE.id, 20_000),
  ]) {
    t.not(other.key.id, item.key.id)
    t.notDeepEqual(other.sealKey, item.sealKey)
  }
  t.is(epochAt(20_000 * 86_400_000), 20_000)
  t.is(epochAt(20_001 * 86_400_000 - 1), 20_000)
})

test('a sealed record comes back to who knows the secret, and its size tells little', t => {
  const item = dhtItem(SECRET, ALICE.id, 20_000)
  const sizes = new Set<number>()
  for (let length = 0; length <= 960; length++) {
    const record = systemRandom.bytes(length)
    const value = sealRecord(item, record, systemRandom)
    if (!value) return t.fail(`${length} bytes do not fit`)
    t.true(value.length <= MAX_VALUE_BYTES)
    sizes.add(value.length)
    t.deepEqual(openSealed(item, value), record)
  }
  t.true(sizes.size <= 8)
  t.is(sealRecord(item, new Uint8Array(961), systemRandom), undefined)
  const value = sealRecord(item, fromHex(RECORD_HEX), systemRandom)
  if (!value) return t.fail()
  t.is(openSealed(dhtItem(SECRET, ALICE.id, 20_001), value), undefined)
  t.is(openSealed(dhtItem(SECRET, BOB.id, 20_000), value), undefined)
})

test('whatever stands in the place of a value, opening it gives nothing and throws nothing', t => {
  const item = dhtItem(SECRET, ALICE.id, 20_000)
  const record = fromHex(RECORD_HEX)
  const value = sealRecord(item, record, systemRandom)
  if (!value) return t.fail()
  for (let seed = 0; seed < 5_000; seed++) {
    const mutant = mutateBytes(value, seededDraw(seed))
    const found = openSealed(item, mutant)
    t.true(found === undefined || mutant.equals(value), `seed ${seed}`)
  }
})

import test from 'ava'
import { type Carrier, type CarrierFailure, carriersFor, homesAmong } from '../../../../agent/session/carriers.ts'
import { type PeerId, peerIdFromBytes } from '../../../../common/wire/peer-id.ts'

const peerNumber = (number: number): PeerId => peerIdFromBytes(new Uint8Array(32).fill(number))
const [TARGET, A, B, C] = [0, 1, 2, 3].map(peerNumber) as [PeerId, PeerId, PeerId, PeerId]
const carrier = (id: PeerId, over: Partial<Carrier> = {}): Carrier => ({ id, link: 'none', addressed: true, ...over })
const plain = { id: TARGET, carries: false }
const none: ReadonlyMap<PeerId, CarrierFailure> = new Map()

test('who we have a direct path to is asked first, then who can be dialled, and nobody over a relay or a pipe', t => {
  const carriers = [
    carrier(A),
    carrier(B, { link: 'direct' }),
    carrier(C, { link: 'relayed' }),
    carrier(peerNumber(4), { link: 'piped' }),
    carrier(peerNumber(5), { addressed: false }),
  ]
  t.deepEqual(carriersFor(plain, carriers, none, 0), { live: [B], others: [A] })
})

test('for one that carries itself nobody else is dialled, so no two call each other through each other', t => {
  const carriers = [carrier(TARGET, { link: 'direct' }), carrier(A), carrier(B, { link: 'direct' })]
  t.deepEqual(carriersFor({ id: TARGET, carries: true }, carriers, none, 0), { live: [B], others: [] })
})

test('four are asked at most, and who failed only after a while that doubles, up to a minute', t => {
  const many = Array.from({ length: 9 }, (_, at) => carrier(peerNumber(at + 1), { link: at < 3 ? 'direct' : 'none' }))
  const { live, others } = carriersFor(plain, many, none, 0)
  t.is(live.length + others.length, 4)
  const asked = (failures: number, agoMs: number) =>
    carriersFor(plain, [carrier(A)], new Map([[A, { failures, at: 0 }]]), agoMs).others.length
  t.deepEqual([asked(1, 999), asked(1, 1_000), asked(3, 3_999), asked(3, 4_000)], [0, 1, 0, 1])
  t.deepEqual([asked(40, 59_999), asked(40, 60_000)], [0, 1])
})

test('without a relay two homes are kept: those of before, then those that are connected', t => {
  const carriers = [carrier(A), carrier(B, { link: 'direct' }), carrier(C, { link: 'direct' })]
  t.deepEqual(homesAmong(carriers, new Set([C])), [C, B])
  t.deepEqual(homesAmong([carrier(A), carrier(B, { link: 'piped' }), carrier(C, { addressed: false })], new Set()), [A])
})

import test from 'ava'
import { isLooking, isShown, makeBadge, recognise } from '../../../../../agent/rendezvous/lan/lan-badge.ts'
import { generateKeyPair } from '../../../../../common/platform/ed25519.ts'
import { systemRandom } from '../../../../../common/platform/random.ts'
import { ALICE, BOB } from '../../../../vectors/keys.ts'
import { ANNOUNCEMENT } from '../../../../vectors/lan.ts'

const NETWORK = new Uint8Array(32).fill(1)
const INVITES = [1, 2, 3, 4, 5].map(value => new Uint8Array(16).fill(value))
const carol = generateKeyPair().id

/** What alice announces who pins bob, is in a network, and has invited. */
function announce(keys: Partial<Parameters<typeof makeBadge>[1]> = {}) {
  const badge = makeBadge(ALICE.id, { pinned: [], ...keys }, ANNOUNCEMENT, systemRandom)
  return { ...ANNOUNCEMENT, badge }
}

test('who has the id of a peer recognises it, and nobody else does', t => {
  const announcement = announce({ pinned: [BOB.id] })
  t.is(recognise(announcement, { pinned: [carol, ALICE.id] }), ALICE.id)
  t.is(recognise(announcement, { pinned: [carol, BOB.id] }), undefined)
  t.is(recognise(announcement, { pinned: [], network: NETWORK }), undefined)
})

test('members of a network recognise each other by its secret, whoever they are', t => {
  const announcement = announce({ network: NETWORK })
  t.is(recognise(announcement, { pinned: [], network: NETWORK }), ALICE.id)
  t.is(recognise(announcement, { pinned: [], network: new Uint8Array(32) }), undefined)
  t.is(recognise(announcement, { pinned: [ALICE.id] }), undefined, 'not by its id alone, for it pins nobody')
})

test('who holds an invite recognises who made it, for as many as there is room', t => {
  const announcement = announce({ offered: INVITES })
  const seen = INVITES.map(secret => recognise(announcement, { pinned: [], held: [{ secret, inviter: ALICE.id }] }))
  t.deepEqual(seen, [ALICE.id, ALICE.id, ALICE.id, ALICE.id, undefined])
})

test('a badge holds for its own names, port and addresses only, in whatever order they come', t => {
  const announcement = announce({ pinned: [BOB.id], network: NETWORK, offered: INVITES.slice(0, 1) })
  const keys = {
    pinned: [ALICE.id],
    network: NETWORK,
    held: INVITES.slice(0, 1).map(secret => ({ secret, inviter: ALICE.id })),
  }
  t.is(recognise({ ...announcement, addresses: announcement.addresses.toReversed() }, keys), ALICE.id)
  for (const change of [
    { instance: 'another' },
    { host: 'another' },
    { port: 4243 },
    { addresses: ['192.168.1.11', 'fe80::1'] },
    { addresses: ['192.168.1.10'] },
  ]) {
    t.is(recognise({ ...announcement, ...change }, keys), undefined, JSON.stringify(change))
  }
})

test('two badges of one peer have nothing in common, and show not even which keys there are', t => {
  const parts = [{}, { pinned: [BOB.id] }, { network: NETWORK }, { network: NETWORK, offered: INVITES }]
    .flatMap(keys => [announce(keys), announce(keys)])
    .map(({ badge }) => [badge.nonce, badge.sealedId, ...badge.tags].map(part => Buffer.from(part).toString('hex')))
  t.is(new Set(parts.flat()).size, parts.flat().length)
  t.is(new Set(parts.map(badge => badge.map(part => part.length).join())).size, 1)
})

test('who has nobody to be recognised by is silent, and who could recognise nobody asks nothing', t => {
  t.false(isShown({ pinned: [], held: [{ secret: NETWORK, inviter: BOB.id }] }))
  t.true(isShown({ pinned: [BOB.id] }))
  t.true(isShown({ pinned: [], offered: INVITES }))
  t.false(isLooking({ pinned: [], offered: INVITES }))
  t.true(isLooking({ pinned: [], network: NETWORK }))
})

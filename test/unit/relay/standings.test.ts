import test from 'ava'
import fc from 'fast-check'
import { generateKeyPair } from '../../../common/platform/ed25519.ts'
import type { Chain } from '../../../common/wire/membership.ts'
import { Standings } from '../../../relay/standings.ts'
import { TestNetwork } from '../../relay/test-network.ts'

const network = new TestNetwork()
const [ann, bob, carl, dora] = [generateKeyPair(), generateKeyPair(), generateKeyPair(), generateKeyPair()]
const annsProof = network.admin(ann.id)
const bobsProof = network.admin(bob.id)

function told(...chains: readonly Chain[]): Standings {
  const standings = new Standings()
  for (const chain of chains) standings.take(chain)
  return standings
}

test('who was removed is out with every entry up to that, and back with a later one by the root', t => {
  const standings = told(network.removal(carl.id, 3))
  for (const version of [1, 2, 3]) {
    t.is(standings.faultOf(network.byRoot(carl.id, { version })), 'removed')
    t.is(standings.faultOf(network.byAdmin(ann, annsProof, carl.id, { version })), 'removed')
  }
  t.is(standings.faultOf(network.byRoot(carl.id, { version: 4 })), undefined)
  t.is(standings.faultOf(network.byRoot(bob.id)), undefined)
  t.is(standings.faultOf(new TestNetwork().byRoot(carl.id)), undefined, 'in another network')
  t.deepEqual(
    [carl, bob].map(({ id }) => standings.wasRemoved(id)),
    [true, false],
  )
  standings.take(network.byRoot(carl.id, { version: 4 }))
  t.false(standings.wasRemoved(carl.id))
})

test('a later entry by an admin brings nobody back, but for who the root has taken back before', t => {
  const later = network.byAdmin(ann, annsProof, carl.id, { version: 9 })
  const standings = told(network.removal(carl.id, 3))
  t.is(standings.faultOf(later), 'removed')
  t.true(standings.show(network.byRoot(carl.id, { version: 4 })))
  t.is(standings.faultOf(later), undefined)
  t.is(standings.faultOf(network.byRoot(carl.id, { version: 3 })), 'removed')
  t.false(standings.show(network.byRoot(bob.id, { version: 4 })), 'nothing is kept of who was never removed')
})

test('with an admin goes what he signed, also his removals; a new grant is another one', t => {
  const removed = network.byAdmin(ann, annsProof, carl.id, { version: 2, removed: true, details: new Uint8Array(32) })
  const member = network.byAdmin(ann, annsProof, carl.id, { version: 1 })
  const standings = told(removed)
  t.is(standings.faultOf(member), 'removed')
  t.true(standings.take(network.removal(ann.id, 2)))
  t.is(standings.faultOf(member), 'signer-removed')
  t.is(standings.faultOf(network.byRoot(carl.id)), undefined)
  t.false(standings.take(removed), 'and they come in no more')
  const again = network.admin(ann.id, 3)
  t.is(standings.faultOf(again), undefined)
  t.is(standings.faultOf(network.byAdmin(ann, again, carl.id)), undefined)
})

test('no admin removes another one', t => {
  const standings = told(network.byAdmin(ann, annsProof, bob.id, { version: 9, removed: true }))
  t.is(standings.faultOf(bobsProof), undefined)
  t.is(standings.faultOf(network.byAdmin(bob, bobsProof, carl.id)), undefined)
  t.is(standings.faultOf(network.byRoot(bob.id)), 'removed', 'but as a mere member he would be')
})

test('what the root signs anew is there for who comes with what a removed admin signed', t => {
  const anew = network.byRoot(carl.id, { version: 2 })
  const standings = told(network.removal(ann.id, 2), anew)
  t.is(standings.signedAnew(network.id, carl.id), anew)
  t.false(standings.take(network.byRoot(carl.id)), 'an older one is none')
  t.true(standings.take(network.removal(carl.id, 2)))
  t.is(standings.signedAnew(network.id, carl.id), undefined)
})

test('a peer that an admin signs is nothing that is kept', t => {
  const standings = told()
  t.false(standings.take(network.byAdmin(ann, annsProof, carl.id)))
  t.is(standings.size, 0)
})

test('whatever the order in which they are told, the same peers are out', t => {
  const chains = [
    network.removal(ann.id, 2),
    network.removal(carl.id, 3),
    network.byRoot(carl.id, { version: 4 }),
    network.byAdmin(ann, annsProof, bob.id, { version: 2, removed: true }),
    network.byAdmin(bob, bobsProof, carl.id, { version: 5, removed: true }),
    network.byRoot(dora.id, { version: 7 }),
    network.byAdmin(bob, bobsProof, dora.id, { version: 6, removed: true }),
  ]
  const claims = [
    network.byRoot(carl.id, { version: 4 }),
    network.byAdmin(bob, bobsProof, carl.id, { version: 6 }),
    network.byRoot(ann.id),
    bobsProof,
    network.byAdmin(ann, annsProof, carl.id, { version: 9 }),
    network.byAdmin(bob, bobsProof, dora.id, { version: 8 }),
  ]
  const outcome = (order: readonly Chain[]) => {
    const standings = told(...order)
    return claims.map(claim => standings.faultOf(claim))
  }
  const first = outcome(chains)
  // The last removal that counts is bob's, in version 5; ann's went with her.
  t.deepEqual(first, ['removed', 'removed', 'removed', undefined, 'signer-removed', undefined])
  fc.assert(
    fc.property(fc.shuffledSubarray(chains, { minLength: chains.length }), order => {
      t.deepEqual(outcome(order), first)
    }),
    { seed: 1, numRuns: 120 },
  )
})

/** Signatures are not looked at here, so one chain can stand for many. */
const many = (chain: Chain, count: number) =>
  Array.from({ length: count }, (_, n): Chain => {
    const peer = `${String(n).padStart(52, 'a')}`.slice(0, 52) as typeof chain.entry.peer
    return { ...chain, entry: { ...chain.entry, peer } }
  })

test('1,024 removals of a network are kept, those of the root longest; and 16,384 chains in all', t => {
  const standings = told(...many(network.removal(carl.id), 10))
  const byAnn = network.byAdmin(ann, annsProof, carl.id, { version: 2, removed: true })
  const flood = many(byAnn, 2_000).slice(10)
  for (const chain of flood) standings.take(chain)
  t.is(standings.size, 1_024)
  const [first] = many(network.byRoot(carl.id), 1)
  t.is(first && standings.faultOf(first), 'removed')
  for (let n = 0; n < 20; n++) {
    const other = new TestNetwork()
    for (const chain of many(other.removal(carl.id), 1_024)) standings.take(chain)
  }
  t.is(standings.size, 16_384)
  standings.keepOnly(id => id === network.id)
  t.true(standings.size > 700 && standings.size <= 1_024, `${standings.size}`)
})

test('an admin who tells removals without end wipes out its own, not those of another one', t => {
  const byBob = network.byAdmin(bob, bobsProof, dora.id, { version: 2, removed: true })
  const byAnn = network.byAdmin(ann, annsProof, carl.id, { version: 2, removed: true })
  const standings = told(byBob, ...many(byAnn, 1_500))
  t.is(standings.size, 1_024)
  t.is(standings.faultOf(network.byRoot(dora.id)), 'removed')
})

test('what a network tells for the first time is kept also when others fill the memory', t => {
  const standings = told()
  for (let n = 0; n < 16; n++) {
    const other = new TestNetwork()
    for (const chain of many(other.removal(carl.id), 1_024)) standings.take(chain)
  }
  t.is(standings.size, 16_384)
  t.true(standings.take(network.removal(carl.id)))
  t.is(standings.size, 16_384)
  t.is(standings.faultOf(network.byRoot(carl.id)), 'removed')
})

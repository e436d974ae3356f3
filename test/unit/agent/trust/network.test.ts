import { createHash } from 'node:crypto'
import test from 'ava'
import { FIRST_SENSIBLE_S, isOver, knownTime } from '../../../../agent/trust/known-time.ts'
import { memberNames } from '../../../../agent/trust/member-names.ts'
import { Network, type NetworkChange } from '../../../../agent/trust/network.ts'
import type { Kept } from '../../../../agent/trust/register.ts'
import { MAX_BY_ADMIN } from '../../../../agent/trust/roster.ts'
import { createTrust } from '../../../../agent/trust/trust.ts'
import type { KeyPair } from '../../../../common/platform/ed25519.ts'
import { isProven } from '../../../../common/platform/membership-proof.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import { entryFault } from '../../../../common/wire/membership.ts'
import { peerIdFromBytes } from '../../../../common/wire/peer-id.ts'
import { FakeClock } from '../../fake-clock.ts'
import { keyOf, ROOT, say } from './statements.ts'

const [FOUNDER, ANNA, BERT, CARL] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4)]
const NOW_S = 1_700_000_000

function networkOf(identity: KeyPair, statements: readonly Kept[], root?: KeyPair, clock = new FakeClock()) {
  const changes: NetworkChange[] = []
  const network = new Network({
    network: ROOT.id,
    secret: new Uint8Array(32),
    identity,
    root,
    statements,
    clock,
    random: systemRandom,
    onChange: change => changes.push(change),
  })
  return { network, changes, clock }
}

const founding = say(ROOT, { peer: FOUNDER.id, version: 1, admin: true, name: 'attic' })
const founder = () => networkOf(FOUNDER, [founding], ROOT).network
const meet = async (from: Network, to: Network, by = FOUNDER.id) => to.merge([...from.roster.statements()], by)

test('the founder makes an admin, who takes in a member, who may not', async t => {
  const root = founder()
  root.admit({ peer: ANNA.id, name: 'anna', roles: ['family', 'admin'], notAfter: 0 })
  const anna = networkOf(ANNA, [...root.roster.statements()]).network
  t.true(anna.isAdmin)
  t.false(anna.isRoot)
  t.deepEqual(anna.member(FOUNDER.id)?.name, 'attic')
  const [told] = anna.admit({ peer: BERT.id, name: 'bert', roles: ['kids', 'family'], notAfter: 0 })
  t.deepEqual(told?.details?.roles, ['family', 'kids'])
  await meet(anna, root, ANNA.id)
  t.deepEqual(root.member(BERT.id)?.roles, ['family', 'kids'])
  const bert = networkOf(BERT, [...root.roster.statements()]).network
  t.is(bert.own, 'member')
  t.false(bert.isAdmin)
  t.throws(() => bert.admit({ peer: CARL.id, name: 'carl', roles: [], notAfter: 0 }), { code: 'not-authorized' })
  t.throws(() => bert.remove(ANNA.id), { code: 'not-authorized' })
})

test('an admin proves a member by a chain, and the own one is at hand', t => {
  const root = founder()
  root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
  const anna = networkOf(ANNA, [...root.roster.statements()]).network
  anna.admit({ peer: BERT.id, name: 'bert', roles: [], notAfter: 0 })
  const [signer, entry] = networkOf(BERT, [...anna.roster.statements()]).network.ownChain ?? []
  t.true(entry && signer && isProven({ entry: entry.entry, signer: signer.entry }, ROOT.id))
  t.is(networkOf(CARL, [...anna.roster.statements()]).network.ownChain, undefined)
})

test('an admin changes and removes neither admins nor himself, and takes in nobody who was removed', t => {
  const root = founder()
  for (const { id } of [ANNA, BERT]) root.admit({ peer: id, name: 'x', roles: ['admin'], notAfter: 0 })
  root.admit({ peer: CARL.id, name: 'carl', roles: [], notAfter: 0 })
  const anna = networkOf(ANNA, [...root.roster.statements()]).network
  t.throws(() => anna.remove(BERT.id), { code: 'not-authorized' })
  t.throws(() => anna.remove(ANNA.id), { code: 'not-authorized' })
  t.throws(() => anna.admit({ peer: BERT.id, name: 'b', roles: [], notAfter: 0 }), { code: 'not-authorized' })
  t.throws(() => anna.admit({ peer: CARL.id, name: 'c', roles: ['admin'], notAfter: 0 }), { code: 'not-authorized' })
  anna.remove(CARL.id)
  t.true(anna.wasRemoved(CARL.id))
  t.throws(() => anna.remove(CARL.id), { code: 'peer-unknown' })
  t.throws(() => anna.remove(keyOf(9).id), { code: 'peer-unknown' })
  t.throws(() => anna.admit({ peer: CARL.id, name: 'c', roles: [], notAfter: 0 }), { code: 'not-authorized' })
})

test('the root removes an admin, and what he signed stays; also if he signed the highest version there is', async t => {
  const root = founder()
  root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
  const anna = networkOf(ANNA, [...root.roster.statements()]).network
  anna.admit({ peer: BERT.id, name: 'bert', roles: ['family'], notAfter: 0 })
  const worst = say(ANNA, { peer: CARL.id, version: Number.MAX_SAFE_INTEGER, grant: 2, removed: true })
  const worse = say(ANNA, { peer: CARL.id, version: Number.MAX_SAFE_INTEGER, grant: 1, removed: true })
  await meet(anna, root)
  await root.merge([worst, worse], ANNA.id)
  t.true(root.wasRemoved(CARL.id))
  t.throws(() => root.admit({ peer: CARL.id, name: 'c', roles: [], notAfter: 0 }), { code: 'not-authorized' })
  const told = root.remove(ANNA.id)
  t.deepEqual(
    told.map(({ entry }) => entry.signer),
    [ROOT.id, ROOT.id, ROOT.id],
  )
  t.true(root.wasRemoved(ANNA.id))
  t.deepEqual(root.member(BERT.id)?.roles, ['family'])
  t.true(root.wasRemoved(CARL.id))
  root.admit({ peer: CARL.id, name: 'carl', roles: [], notAfter: 0 })
  t.true(root.isMember(CARL.id))
  const bert = networkOf(BERT, [...root.roster.statements()]).network
  t.is((await bert.merge([worst], ANNA.id)).unauthorized, 1)
})

test('who is an admin again, or gets another name, keeps what he signed; who becomes a plain member leaves it to the root', async t => {
  const root = founder()
  root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
  const anna = networkOf(ANNA, [...root.roster.statements()]).network
  anna.admit({ peer: BERT.id, name: 'bert', roles: [], notAfter: 0 })
  await meet(anna, root)
  root.admit({ peer: ANNA.id, name: 'anna-2', roles: ['admin', 'family'], notAfter: 0 })
  t.true(root.isMember(BERT.id))
  t.is(root.member(ANNA.id)?.name, 'anna-2')
  root.admit({ peer: ANNA.id, name: 'anna-2', roles: [], notAfter: 0 })
  t.false(root.member(ANNA.id)?.admin)
  t.true(root.isMember(BERT.id))
})

test('the members whom a removed admin let in stay and are known, or go with him; whom he removed stays out', async t => {
  for (const devices of ['stay', 'go'] as const) {
    const root = founder()
    root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
    for (const n of [20, 21]) root.admit({ peer: keyOf(n).id, name: `by-root-${n}`, roles: [], notAfter: 0 })
    const anna = networkOf(ANNA, [...root.roster.statements()]).network
    for (const { id } of [BERT, CARL]) anna.admit({ peer: id, name: 'puppet', roles: [], notAfter: 0 })
    anna.remove(keyOf(20).id)
    await meet(anna, root)
    t.deepEqual(new Set(root.takenInBy(ANNA.id)), new Set([BERT.id, CARL.id]))
    root.remove(ANNA.id, devices)
    t.deepEqual(root.takenInBy(ANNA.id), [])
    for (const { id } of [BERT, CARL]) t.is(root.isMember(id), devices === 'stay', devices)
    t.true(root.wasRemoved(keyOf(20).id))
    t.true(root.isMember(keyOf(21).id))
    await meet(root, anna)
    t.is(anna.own, 'removed')
  }
})

test('an admin who has let in as many as the roster takes of one is told so, may still remove, and keeps the root from nothing', async t => {
  const root = founder()
  root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
  const anna = networkOf(ANNA, [...root.roster.statements()]).network
  const idOf = (n: number) => peerIdFromBytes(createHash('sha256').update(String(n)).digest())
  for (let n = 0; n < MAX_BY_ADMIN; n++) anna.admit({ peer: idOf(n), name: `puppet-${n}`, roles: [], notAfter: 0 })
  const one = { peer: BERT.id, name: 'bert', roles: [], notAfter: 0 }
  t.throws(() => anna.admit(one), { code: 'over-quota' })
  anna.remove(idOf(0))
  t.true(anna.wasRemoved(idOf(0)))
  await meet(anna, root)
  root.admit(one)
  t.true(root.isMember(BERT.id))
  root.remove(ANNA.id, 'go')
  t.is(root.count, 2)
  // What went makes room again.
  root.admit({ peer: CARL.id, name: 'carl', roles: ['admin'], notAfter: 0 })
  const carl = networkOf(CARL, [...root.roster.statements()]).network
  t.notThrows(() => carl.admit({ peer: idOf(1), name: 'one', roles: [], notAfter: 0 }))
})

test('a device that was removed trusts nobody of the network, and speaks no more for it', async t => {
  const root = founder()
  root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
  const { network: anna, changes } = networkOf(ANNA, [...root.roster.statements()])
  root.remove(ANNA.id)
  await meet(root, anna)
  t.is(anna.own, 'removed')
  t.false(anna.isMember(FOUNDER.id))
  t.deepEqual([...anna.members()], [])
  t.throws(() => anna.admit({ peer: BERT.id, name: 'b', roles: [], notAfter: 0 }), { code: 'not-authorized' })
  t.true(changes.at(-1)?.touched.has(ANNA.id))
  t.is(changes.at(-1)?.from, FOUNDER.id)
})

test('membership ends with its last second, and the next end is known', t => {
  const clock = new FakeClock()
  const ends = (n: number, notAfter: number) => say(ROOT, { peer: keyOf(n).id, version: 1, notAfter, issuedAt: NOW_S })
  const { network } = networkOf(FOUNDER, [founding, ends(2, NOW_S + 10), ends(3, NOW_S + 20), ends(4, 0)], ROOT, clock)
  t.is(network.nextEnd(), NOW_S + 10)
  clock.advance(10_000)
  t.true(network.isMember(ANNA.id))
  clock.advance(1_000)
  t.false(network.isMember(ANNA.id))
  t.true(network.isMember(BERT.id))
  t.is(network.nextEnd(), NOW_S + 20)
  clock.advance(1e9)
  t.true(network.isMember(CARL.id))
  t.is(network.nextEnd(), undefined)
})

test('a clock that was never set refuses nothing but what is over by what the root or a relay says', t => {
  const clock = new FakeClock()
  clock.jumpWall(-NOW_S * 1000)
  const member = say(ROOT, { peer: ANNA.id, version: 1, notAfter: NOW_S, issuedAt: NOW_S - 1_000 })
  const { network } = networkOf(
    FOUNDER,
    [founding, member].map(s => s),
    ROOT,
    clock,
  )
  t.false(network.now().sure)
  // The founding was signed later than that.
  t.true(network.now().s >= 1_795_000_000)
  t.false(network.isMember(ANNA.id))
  const early = say(ROOT, { peer: FOUNDER.id, version: 1, admin: true, issuedAt: NOW_S - 2_000 })
  const other = networkOf(FOUNDER, [early, member], ROOT, clock).network
  t.true(other.isMember(ANNA.id))
  clock.advance(999_000)
  t.true(other.isMember(ANNA.id))
  other.noteTime(NOW_S + 1)
  t.false(other.isMember(ANNA.id))
})

test('a clock that was set is believed, and one that was not is at least as late as what was heard', t => {
  t.deepEqual(knownTime((FIRST_SENSIBLE_S + 5) * 1000, 2_000_000_000), { s: FIRST_SENSIBLE_S + 5, sure: true })
  t.deepEqual(knownTime(5_000, 1_000), { s: 1_000, sure: false })
  t.deepEqual(knownTime(5_000_000, 1_000), { s: 5_000, sure: false })
  t.false(isOver(0, { s: 9e9, sure: true }))
})

test('of members with one name none has it, and a pinned name wins', t => {
  const named = (n: number, name = 'attic') => ({ id: keyOf(n).id, name })
  const letters = (n: number, count = 4) => keyOf(n).id.slice(0, count)
  const names = memberNames([named(2), named(3), named(4, 'laptop'), named(5, 'roof')], new Set(['laptop']))
  t.deepEqual([...names.values()], [`attic-${letters(2)}`, `attic-${letters(3)}`, `laptop-${letters(4)}`, 'roof'])
  const long = memberNames([named(2, 'n'.repeat(63)), named(3, 'n'.repeat(63))], new Set())
  t.is(long.get(BERT.id)?.length, 63)
})

test('nobody comes to a name by being called what another one is called for want of it, in whatever order they come', t => {
  const named = (n: number, name: string) => ({ id: keyOf(n).id, name })
  const short = `attic-${ANNA.id.slice(0, 4)}`
  const members = [named(2, 'attic'), named(3, 'attic'), named(4, short), named(5, `attic-${ANNA.id.slice(0, 8)}`)]
  const names = memberNames(members, new Set())
  t.is(new Set(names.values()).size, 4)
  for (const wanted of ['attic', short, `attic-${ANNA.id.slice(0, 8)}`]) t.false([...names.values()].includes(wanted))
  for (const at of members.keys()) {
    const turned = memberNames([...members.slice(at), ...members.slice(0, at)].toReversed(), new Set())
    for (const [peer, name] of names) t.is(turned.get(peer), name)
  }
  const whole = memberNames([named(2, 'attic'), named(3, `attic-${ANNA.id}`)], new Set(['attic', short]))
  t.is(new Set(whole.values()).size, 2)
})

test('16,000 names that are each made to meet the next are told apart in a moment', t => {
  const idOf = (n: number) => peerIdFromBytes(createHash('sha256').update(String(n)).digest())
  let name = 'n'.repeat(63)
  const members = Array.from({ length: 16_000 }, (_, n) => {
    const member = { id: idOf(n), name }
    name = `${name.slice(0, 58)}-${member.id.slice(0, 4)}`
    return member
  })
  const names = memberNames([{ id: idOf(-1), name: 'n'.repeat(63) }, ...members], new Set())
  t.is(new Set(names.values()).size, 16_001)
})

test('an entry that is dated back gets no name of another', t => {
  const root = networkOf(FOUNDER, [founding, say(ROOT, { peer: ANNA.id, version: 1, name: 'laptop' })], ROOT).network
  const trust = createTrust({}, FOUNDER.id, () => root)
  t.true(trust.mayUse(ANNA.id, ['peer:laptop']))
  const twin = networkOf(FOUNDER, [
    founding,
    say(ROOT, { peer: ANNA.id, version: 1, name: 'laptop' }),
    say(ROOT, { peer: BERT.id, version: 1, name: 'laptop', issuedAt: 1 }),
  ]).network
  const after = createTrust({}, FOUNDER.id, () => twin)
  t.is(after.idOf('laptop'), undefined)
  for (const peer of [ANNA.id, BERT.id]) t.false(after.mayUse(peer, ['peer:laptop']))
})

test('two admins who sign each other the highest version are removed, or made members again, all the same', async t => {
  const worst = (by: KeyPair, peer: KeyPair, grant: number, removed: boolean) =>
    say(by, { peer: peer.id, version: Number.MAX_SAFE_INTEGER, grant, removed })
  for (const removed of [false, true]) {
    const root = founder()
    for (const { id } of [ANNA, BERT]) root.admit({ peer: id, name: 'x', roles: ['admin'], notAfter: 0 })
    root.admit({ peer: CARL.id, name: 'carl', roles: [], notAfter: 0 })
    await root.merge([worst(ANNA, BERT, 1, removed), worst(BERT, ANNA, 1, removed)], ANNA.id)
    for (const by of [ANNA, BERT]) await root.merge([worst(by, CARL, 1, removed)], ANNA.id)
    root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
    root.remove(ANNA.id)
    t.true(root.wasRemoved(ANNA.id))
    t.is(root.wasRemoved(CARL.id), removed)
    root.admit({ peer: BERT.id, name: 'bert', roles: [], notAfter: 0 })
    t.false(root.member(BERT.id)?.admin)
    t.is(root.wasRemoved(CARL.id), removed)
    root.remove(BERT.id)
    t.true(root.wasRemoved(BERT.id))
    const other = networkOf(CARL, [...root.roster.statements()]).network
    t.deepEqual(
      [ANNA, BERT].map(({ id }) => other.wasRemoved(id)),
      [true, true],
    )
  }
})

test('the root removes a member whose versions an admin has used up', async t => {
  for (const version of [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1]) {
    const root = founder()
    root.admit({ peer: ANNA.id, name: 'anna', roles: ['admin'], notAfter: 0 })
    await root.merge([say(ANNA, { peer: CARL.id, version, grant: 1 })], ANNA.id)
    t.throws(() => root.admit({ peer: CARL.id, name: 'carl', roles: [], notAfter: 0 }), { code: 'not-authorized' })
    root.remove(CARL.id)
    t.true(root.wasRemoved(CARL.id))
  }
})

test('a relay that tells a time that is none is not heard', t => {
  const clock = new FakeClock()
  const { network } = networkOf(FOUNDER, [founding], ROOT, clock)
  network.noteTime(Number.MAX_SAFE_INTEGER)
  const [said] = network.admit({ peer: ANNA.id, name: 'anna', roles: [], notAfter: 0 })
  t.true(said && entryFault(said.entry) === undefined)
})

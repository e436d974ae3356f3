import test from 'ava'
import { FIRST_SENSIBLE_S, isOver, knownTime } from '../../../../agent/trust/known-time.ts'
import { memberNames } from '../../../../agent/trust/member-names.ts'
import { Network, type NetworkChange } from '../../../../agent/trust/network.ts'
import type { Kept } from '../../../../agent/trust/register.ts'
import type { KeyPair } from '../../../../common/platform/ed25519.ts'
import { isProven } from '../../../../common/platform/membership-proof.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
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

test('of members with one name the first keeps it, and a pinned name wins', t => {
  const named = (n: number, since: number, name = 'attic') => ({ id: keyOf(n).id, name, since })
  const names = memberNames([named(2, 20), named(3, 10), named(4, 30, 'laptop')], new Set(['laptop']))
  t.is(names.get(BERT.id), 'attic')
  t.is(names.get(ANNA.id), `attic-${ANNA.id.slice(0, 4)}`)
  t.is(names.get(CARL.id), `laptop-${CARL.id.slice(0, 4)}`)
  const long = memberNames([named(2, 1, 'n'.repeat(63)), named(3, 2, 'n'.repeat(63))], new Set())
  t.is(long.get(BERT.id)?.length, 63)
  const clash = memberNames([named(3, 1), named(2, 2), named(4, 0, `attic-${ANNA.id.slice(0, 4)}`)], new Set())
  t.is(clash.get(ANNA.id), `attic-${ANNA.id.slice(0, 8)}`)
})

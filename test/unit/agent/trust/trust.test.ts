import test from 'ava'
import type { Member } from '../../../../agent/trust/network.ts'
import { createTrust } from '../../../../agent/trust/trust.ts'
import { keyPairFromSeed } from '../../../../common/platform/ed25519.ts'
import type { PeerId } from '../../../../common/wire/peer-id.ts'

const id = (seed: number) => keyPairFromSeed(new Uint8Array(32).fill(seed)).id
const [OWN, LAPTOP, PHONE, STRANGER] = [id(1), id(2), id(3), id(4)]
const trust = () => createTrust({ laptop: { id: LAPTOP, keep: true }, phone: { id: PHONE, keep: false } }, OWN)

test('knows a trusted peer by its name and by its id', t => {
  t.is(trust().idOf('laptop'), LAPTOP)
  t.is(trust().idOf(LAPTOP), LAPTOP)
  t.is(trust().nameOf(PHONE), 'phone')
  t.true(trust().isTrusted(PHONE))
  t.deepEqual(trust().peers()[0], { id: LAPTOP, name: 'laptop', keep: true })
})

test('knows nothing of a stranger, even by a well-formed id', t => {
  t.is(trust().idOf(STRANGER), undefined)
  t.is(trust().idOf('constructor'), undefined)
  t.is(trust().idOf('__proto__'), undefined)
  t.is(trust().idOf(LAPTOP.slice(0, 10)), undefined)
  t.is(trust().nameOf(STRANGER), undefined)
  t.false(trust().isTrusted(STRANGER))
})

test('never counts itself among its peers', t => {
  const peers = { me: { id: OWN, keep: false } }
  const own = createTrust(peers, OWN)
  t.deepEqual(own.peers(), [])
  t.false(own.isTrusted(OWN))
  t.is(own.idOf('me'), undefined)
  t.deepEqual(own.update(peers), { added: [], removed: [] })
})

test('a service is open to those on its list, and to no stranger', t => {
  const table: readonly (readonly [allow: readonly string[], laptop: boolean, phone: boolean])[] = [
    [['*'], true, true],
    [['peer:laptop'], true, false],
    [['peer:phone', 'peer:laptop'], true, true],
    [['role:family'], false, false],
    [['laptop'], false, false],
    [[], false, false],
  ]
  for (const [allow, laptop, phone] of table) {
    t.is(trust().mayUse(LAPTOP, allow), laptop, `laptop by ${allow.join(' ')}`)
    t.is(trust().mayUse(PHONE, allow), phone, `phone by ${allow.join(' ')}`)
    t.false(trust().mayUse(STRANGER, allow))
    t.false(trust().mayUse(OWN, allow))
  }
})

test('an update tells who came and who went, and holds at once', t => {
  const changing = trust()
  const change = changing.update({ notebook: { id: LAPTOP, keep: false }, tv: { id: STRANGER, keep: false } })
  t.deepEqual(change, { added: [STRANGER], removed: [PHONE] })
  t.is(changing.nameOf(LAPTOP), 'notebook')
  t.is(changing.idOf('laptop'), undefined)
  t.false(changing.mayUse(LAPTOP, ['peer:laptop']))
  t.false(changing.isTrusted(PHONE))
})

test('members of the network stand beside pinned peers: roles open services, names are found, pinned names win', t => {
  const [ANNA, BERT] = [id(5), id(6)]
  const member = (peer: PeerId, name: string, roles: readonly string[]): Member => ({
    id: peer,
    name,
    roles,
    admin: false,
    notAfter: 0,
  })
  let present = [member(ANNA, 'laptop', ['family']), member(BERT, 'bert', []), member(PHONE, 'handy', ['family'])]
  const network = { member: (peer: PeerId) => present.find(({ id: own }) => own === peer), members: () => present }
  const both = createTrust(
    { laptop: { id: LAPTOP, keep: true }, phone: { id: PHONE, keep: false } },
    OWN,
    () => network,
  )
  t.is(both.idOf('laptop'), LAPTOP)
  t.is(both.idOf(`laptop-${ANNA.slice(0, 4)}`), ANNA)
  t.is(both.nameOf(PHONE), 'phone')
  t.is(both.idOf('handy'), undefined)
  t.deepEqual(
    both.peers().map(({ name }) => name),
    ['laptop', 'phone', `laptop-${ANNA.slice(0, 4)}`, 'bert'],
  )
  t.deepEqual(
    both.pinned().map(({ name }) => name),
    ['laptop', 'phone'],
  )
  t.true(both.mayUse(ANNA, ['role:family']))
  t.true(both.mayUse(PHONE, ['role:family']))
  t.false(both.mayUse(BERT, ['role:family']))
  t.true(both.mayUse(BERT, ['peer:bert']))
  t.true(both.mayUse(BERT, ['*']))
  t.false(both.mayUse(STRANGER, ['*', 'role:family']))
  present = present.filter(({ id: peer }) => peer !== BERT)
  t.false(both.mayUse(BERT, ['*']))
  t.is(both.idOf('bert'), undefined)
  both.membersChanged()
  t.deepEqual(both.update({}).removed, [LAPTOP])
  t.true(both.isTrusted(PHONE))
  t.is(both.nameOf(PHONE), 'handy')
  t.false(both.isPinned(PHONE))
})

test('the role "admin" is the right of an admin, and no word among the roles', t => {
  const [ANNA, BERT] = [id(5), id(6)]
  const member = { name: 'x', roles: [], admin: false, notAfter: 0 }
  const members = [
    { ...member, id: ANNA, roles: ['admin'] },
    { ...member, id: BERT, name: 'y', admin: true },
  ]
  const network = { member: (peer: PeerId) => members.find(other => other.id === peer), members: () => members }
  const both = createTrust({}, OWN, () => network)
  t.false(both.mayUse(ANNA, ['role:admin']))
  t.true(both.mayUse(BERT, ['role:admin']))
})

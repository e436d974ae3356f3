import test from 'ava'
import { decodeInvites, encodeInvites } from '../../../../agent/trust/invite-book.ts'
import { guestsOf, type Invite, judgeInvite, MAX_INVITES, tidyInvites } from '../../../../agent/trust/invites.ts'
import { ALICE, BOB, RELAY } from '../../../vectors/keys.ts'

const DAY = 86_400
const OPEN: Invite = {
  guest: RELAY.id,
  lanKey: new Uint8Array(16).fill(9),
  name: 'pi',
  roles: ['family'],
  createdAt: 1_000_000,
  expiresAt: 1_000_000 + DAY,
  usedBy: undefined,
}
const USED: Invite = { ...OPEN, usedBy: ALICE.id }

test('an invitation is for one device, which may come again', t => {
  const at = OPEN.createdAt + 5
  t.is(judgeInvite(OPEN, ALICE.id, at), 'open')
  t.is(judgeInvite(USED, ALICE.id, at), 'again')
  t.is(judgeInvite(USED, BOB.id, at), 'used')
  t.is(judgeInvite(undefined, BOB.id, at), 'unknown')
})

test('it ends with its time, which a device without a clock cannot tell', t => {
  t.is(judgeInvite(OPEN, ALICE.id, OPEN.expiresAt - 1), 'open')
  t.is(judgeInvite(OPEN, ALICE.id, OPEN.expiresAt), 'expired')
  t.is(judgeInvite(OPEN, ALICE.id, 17), 'clock')
  // Whom it let in is in, however late he comes for the answer.
  t.is(judgeInvite(USED, ALICE.id, OPEN.expiresAt, 'member'), 'again')
  // The power went before it was let in: until the code ends.
  t.is(judgeInvite(USED, ALICE.id, OPEN.expiresAt - 1, 'none'), 'again')
  t.is(judgeInvite(USED, ALICE.id, OPEN.expiresAt, 'none'), 'expired')
  t.is(judgeInvite(USED, ALICE.id, OPEN.createdAt, 'ended'), 'expired')
  t.is(judgeInvite(USED, BOB.id, OPEN.expiresAt), 'used')
})

test('what is over is remembered for a month, and no more than some', t => {
  t.deepEqual(tidyInvites([OPEN, USED], OPEN.expiresAt + 30 * DAY - 1), [OPEN, USED])
  t.deepEqual(tidyInvites([OPEN, USED], OPEN.expiresAt + 30 * DAY), [])
  const many = Array.from({ length: MAX_INVITES }, (_, index) => ({ ...USED, expiresAt: USED.expiresAt + index }))
  const kept = tidyInvites([OPEN, ...many], OPEN.createdAt + 1)
  t.is(kept.length, MAX_INVITES)
  t.deepEqual(kept, [OPEN, ...many.slice(1)])
})

test('relays are told of who may come, then of who is to hear why not, and of no more than they take', t => {
  const now = OPEN.createdAt + 1
  const many = Array.from({ length: 70 }, (_, index) => ({ ...USED, expiresAt: USED.expiresAt + index }))
  const guests = guestsOf([...many, OPEN], now)
  t.is(guests.length, 64)
  t.deepEqual(guests[0], { id: OPEN.guest, notAfter: OPEN.expiresAt + 7 * DAY })
  t.is(guests[1]?.notAfter, USED.expiresAt + 69 + 7 * DAY)
  t.deepEqual(guestsOf([OPEN], OPEN.expiresAt + 7 * DAY), [])
})

test('the file holds what is written, and no secret', t => {
  t.deepEqual(decodeInvites(encodeInvites([OPEN, USED])), [OPEN, USED])
  t.deepEqual(decodeInvites(encodeInvites([{ ...OPEN, name: undefined }])), [{ ...OPEN, name: undefined }])
  for (const text of ['', '{}', '{"version":2,"invites":[]}', encodeInvites([OPEN]).replace('pi', '../x')]) {
    t.is(decodeInvites(text), undefined)
  }
})

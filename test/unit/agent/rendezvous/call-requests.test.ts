import test from 'ava'
import { CallRequests } from '../../../../agent/rendezvous/call-requests.ts'
import { CulvertError } from '../../../../common/errors.ts'
import type { AgentMessage } from '../../../../common/wire/relay-message.ts'
import { BOB } from '../../../vectors/keys.ts'
import { FakeClock } from '../../fake-clock.ts'

const never = new AbortController().signal
const ticket = new Uint8Array(16)

function scene() {
  const clock = new FakeClock()
  const sent: AgentMessage[] = []
  return { clock, sent, calls: new CallRequests(clock, 'relay.example:443', message => sent.push(message)) }
}

test('each call has a number of its own, by which its ticket or its failure finds it', async t => {
  const { calls, sent } = scene()
  const [first, second] = [calls.place(BOB.id, never), calls.place(BOB.id, never)]
  t.deepEqual(sent, [
    { type: 'call', call: 1, to: BOB.id },
    { type: 'call', call: 2, to: BOB.id },
  ])
  calls.answer(2, ticket)
  calls.fail(1, 'offline')
  calls.fail(7, 'offline')
  t.is((await second).ticket, ticket)
  await t.throwsAsync(first, { instanceOf: CulvertError, code: 'peer-offline' })
})

test('a relay that does not answer in ten seconds is unreachable', async t => {
  const { calls, clock } = scene()
  const call = calls.place(BOB.id, never)
  clock.advance(10_000)
  await t.throwsAsync(call, { code: 'relay-unreachable', message: /relay\.example:443 did not answer/ })
  t.is(clock.timers, 0)
})

test('a callee may refuse for ten seconds after the ticket, and no longer', async t => {
  const { calls, clock } = scene()
  const [early, late] = [calls.place(BOB.id, never), calls.place(BOB.id, never)]
  calls.answer(1, ticket)
  calls.answer(2, ticket)
  clock.advance(9_999)
  calls.fail(1, 'refused')
  clock.advance(1)
  calls.fail(2, 'refused')
  const { reason } = (await early).failure
  t.true(reason instanceof CulvertError && reason.code === 'peer-refused')
  t.false((await late).failure.aborted)
})

test('when the line breaks every call fails with the reason, and when a caller gives up only his', async t => {
  const { calls, clock } = scene()
  const stop = new AbortController()
  const [given, other] = [calls.place(BOB.id, stop.signal), calls.place(BOB.id, never)]
  stop.abort()
  await t.throwsAsync(given, { code: 'aborted' })
  calls.failAll(new CulvertError('relay-unreachable', 'the line broke'))
  await t.throwsAsync(other, { code: 'relay-unreachable', message: 'the line broke' })
  t.is(clock.timers, 0)
})

test('more than 1,024 calls at a time are refused here', async t => {
  const { calls } = scene()
  for (let i = 0; i < 1_024; i++) void calls.place(BOB.id, never)
  await t.throwsAsync(calls.place(BOB.id, never), { code: 'busy' })
})

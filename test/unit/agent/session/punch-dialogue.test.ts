import test from 'ava'
import { checkMeetingPlace, PunchDialogue, whyDeclined } from '../../../../agent/session/punch-dialogue.ts'
import { CulvertError } from '../../../../common/errors.ts'
import type { PunchWords } from '../../../../common/wire/punch-signal.ts'
import { FakeClock } from '../../fake-clock.ts'

const at = { address: '192.0.2.1', port: 7 }

function scene() {
  const clock = new FakeClock()
  const stop = new AbortController()
  const said: PunchWords[] = []
  return { clock, stop, said, dialogue: new PunchDialogue(3, clock, stop.signal, words => said.push(words)) }
}

test('words that come early wait, and those that nobody waits for are skipped', async t => {
  const { dialogue } = scene()
  dialogue.receive({ kind: 'go' })
  dialogue.receive({ kind: 'answer', outside: at })
  t.deepEqual(await dialogue.next(['answer'], whyDeclined), { kind: 'answer', outside: at })
  const next = dialogue.next(['aim'], whyDeclined)
  dialogue.receive({ kind: 'aim', outside: at })
  t.is((await next).kind, 'aim')
})

test('a decline ends the wait with its reason, silence with the time, and the end of the attempt at once', async t => {
  const { dialogue, clock, stop, said } = scene()
  const declined = dialogue.next(['answer'], why => `because ${why}`)
  dialogue.receive({ kind: 'decline', why: 'busy' })
  await t.throwsAsync(declined, { instanceOf: CulvertError, code: 'busy', message: 'because busy' })
  const silent = dialogue.next(['answer'], whyDeclined, 700)
  clock.advance(700)
  await t.throwsAsync(silent, { instanceOf: CulvertError, code: 'timed-out' })
  const ended = dialogue.next(['answer'], whyDeclined)
  stop.abort()
  await t.throwsAsync(ended, { instanceOf: CulvertError, code: 'aborted' })
  dialogue.receive({ kind: 'answer', outside: at })
  await t.throwsAsync(
    dialogue.next(['answer'], whyDeclined),
    { code: 'aborted' },
    'words that came are not taken any more',
  )
  dialogue.say({ kind: 'go' })
  t.deepEqual(said, [], 'nothing is said after the end')
  t.is(clock.timers, 0)
})

test('a peer that talks without end is not kept in memory', async t => {
  const { dialogue, clock } = scene()
  for (let i = 0; i < 1_000; i++) dialogue.receive({ kind: 'go' })
  let kept = 0
  for (;;) {
    const next = dialogue.next(['go'], whyDeclined, 1).then(
      () => true,
      () => false,
    )
    clock.advance(1)
    if (!(await next)) break
    kept++
  }
  t.is(kept, 8)
})

test('a peer is met at a public address, or at one of the kind of our own, and never on this machine', t => {
  const isOwn = (address: string) => address === '44.5.6.8'
  const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const
  t.notThrows(() => checkMeetingPlace('44.1.2.3', '44.5.6.7', isOwn))
  t.notThrows(() => checkMeetingPlace('192.168.1.2', '192.168.7.7', isOwn))
  for (const address of ['127.0.0.1', '0.0.0.0', '192.168.1.2', '169.254.1.1']) {
    t.throws(() => checkMeetingPlace(address, '44.5.6.7', isOwn), malformed, address)
  }
  t.throws(() => checkMeetingPlace('127.0.0.1', '127.0.0.1', isOwn), malformed)
  t.throws(() => checkMeetingPlace('44.5.6.8', '44.5.6.7', isOwn), malformed)
})

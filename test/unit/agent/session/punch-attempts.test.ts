import test from 'ava'
import { Missed, PunchAttempts } from '../../../../agent/session/punch-attempts.ts'
import type { PunchDialogue } from '../../../../agent/session/punch-dialogue.ts'
import { SearchGate } from '../../../../agent/session/search-gate.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import { peerIdFromBytes } from '../../../../common/wire/peer-id.ts'
import { FakeClock } from '../../fake-clock.ts'

const PEER = peerIdFromBytes(new Uint8Array(32))

function scene() {
  const stop = new AbortController()
  const outcomes: (string | undefined)[] = []
  const clock = new FakeClock()
  const attempts = new PunchAttempts({
    over: 'udp',
    clock,
    random: systemRandom,
    signal: stop.signal,
    attach: () => undefined,
    send: () => undefined,
    onOutcome: error => outcomes.push(error?.code),
  })
  return { attempts, outcomes, stop, clock }
}

/** Talk that waits for the peer's next words, which do not come. */
async function silence(dialogue: PunchDialogue): Promise<never> {
  await dialogue.next(['answer'], why => why)
  throw new CulvertError('internal', 'nobody has answered')
}

test('an attempt that takes the place of another finds the search gate free', async t => {
  const { attempts, outcomes } = scene()
  const gate = new SearchGate(new FakeClock(), createLog({ level: 'error', style: 'words', write: () => undefined }))
  const first = attempts.join(1, async dialogue => {
    using entered = gate.enter(PEER)
    t.truthy(entered)
    return await silence(dialogue)
  })
  await Promise.resolve()
  t.true(gate.taken)
  const second = attempts.join(2, () => {
    t.false(gate.taken)
    throw new CulvertError('timed-out', 'nobody came')
  })
  t.false(await first)
  t.false(await second)
  t.deepEqual(outcomes, ['timed-out'], 'one that was replaced has no outcome')
})

test('words that come while the attempt before it still ends are kept for the next one', async t => {
  const { attempts } = scene()
  const first = attempts.join(1, silence)
  const second = attempts.join(2, async dialogue => {
    t.is((await dialogue.next(['go'], why => why)).kind, 'go')
    throw new CulvertError('timed-out', 'nobody came')
  })
  t.false(attempts.receive(1, { kind: 'go' }))
  t.true(attempts.receive(2, { kind: 'go' }))
  await Promise.all([first, second])
  t.false(attempts.running)
})

test('an attempt that is replaced before it began does not begin', async t => {
  const { attempts, outcomes } = scene()
  const begun: number[] = []
  const talk = (number: number) => () => {
    begun.push(number)
    return Promise.reject(new CulvertError('timed-out', 'nobody came'))
  }
  await Promise.all([attempts.join(1, silence), attempts.join(2, talk(2)), attempts.join(3, talk(3))])
  t.deepEqual(begun, [3])
  t.deepEqual(outcomes, ['timed-out'])
})

test('only foretold ports that missed are worth another attempt at once, and none is after the end', async t => {
  const { attempts, stop } = scene()
  const missed = () => Promise.reject(new Missed(new CulvertError('timed-out', 'nobody came')))
  t.true(await attempts.begin(missed))
  t.false(await attempts.begin(() => Promise.reject(new CulvertError('timed-out', 'nobody came'))))
  stop.abort()
  t.false(await attempts.begin(missed))
})

test('an attempt that the peer leaves unanswered is worth another one at once; one that is stopped is not', async t => {
  const { attempts, outcomes, clock } = scene()
  const unanswered = attempts.begin(silence)
  await Promise.resolve()
  clock.advance(5_000)
  t.true(await unanswered)
  const broken = attempts.join(9, silence)
  attempts.receive(9, { kind: 'go' })
  await Promise.resolve()
  clock.advance(5_000)
  t.false(await broken)
  const stopped = attempts.begin(silence)
  attempts.stop()
  t.false(await stopped)
  t.false(attempts.running)
  t.deepEqual(outcomes, ['timed-out', 'timed-out'])
})

test('an attempt that goes on after it was stopped is waited for only so long', async t => {
  const { attempts, clock, outcomes } = scene()
  const hangs = attempts.join(1, () => new Promise(() => undefined))
  await Promise.resolve()
  const second = attempts.join(2, () => Promise.reject(new CulvertError('timed-out', 'nobody came')))
  clock.advance(3_000)
  t.false(await hangs)
  t.false(await second)
  t.deepEqual(outcomes, ['timed-out'])
  t.false(attempts.running)
  t.is(clock.timers, 0)
})

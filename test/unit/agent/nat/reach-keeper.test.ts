import test from 'ava'
import { ReachBook, type Transport } from '../../../../agent/nat/reach-book.ts'
import { type LookFromOutside, ReachKeeper } from '../../../../agent/nat/reach-keeper.ts'
import type { Verdict } from '../../../../agent/nat/reach-state.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import { reachProbe } from '../../../../common/wire/reach.ts'
import { BOB } from '../../../vectors/keys.ts'
import { FakeClock } from '../../fake-clock.ts'

const HERE = { address: '198.51.100.7', port: 4000 }
const quiet = createLog({ level: 'error', style: 'words', write: () => undefined })

/** What is found when the probe comes in or does not, and the relay says this. */
async function found(transport: Transport, comesIn: boolean, told: Verdict): Promise<Verdict | undefined> {
  const book = new ReachBook(BOB.id, systemRandom)
  const look: LookFromOutside = (_transport, _endpoint, nonce) => {
    if (comesIn) book.answerTo(transport, reachProbe(BOB.id, nonce))
    return Promise.resolve(told)
  }
  const clock = new FakeClock()
  const keeper = new ReachKeeper({ clock, log: quiet, book, transport, look, onChange: () => undefined })
  keeper.watch(HERE)
  for (let looks = 0; looks < 2; looks++) {
    await new Promise(resolve => setImmediate(resolve))
    clock.advance(2_000)
  }
  await new Promise(resolve => setImmediate(resolve))
  const verdict = keeper.verdictOn(HERE)
  keeper.close()
  timersLeft = clock.timers
  return verdict
}

let timersLeft = 0

test('a relay can neither invent that a port is open, nor deny a TCP connection that came in', async t => {
  t.is(await found('tcp', false, 'reached'), 'unknown')
  t.is(await found('tcp', true, 'unreached'), 'reached')
  t.is(await found('tcp', false, 'unreached'), 'unreached')
  t.is(await found('tcp', true, 'reached'), 'reached')
  t.is(timersLeft, 0, 'and no timer is left')
})

test('over UDP the relay has to have heard the answer', async t => {
  t.is(await found('udp', true, 'unreached'), 'unreached')
  t.is(await found('udp', true, 'unknown'), 'unknown')
  t.is(await found('udp', false, 'reached'), 'unknown')
  t.is(await found('udp', true, 'reached'), 'reached')
})

test('a look that fails is as if nobody could look', async t => {
  const keeper = new ReachKeeper({
    clock: new FakeClock(),
    log: quiet,
    book: new ReachBook(BOB.id, systemRandom),
    transport: 'tcp',
    look: () => Promise.reject(new Error('not yet')),
    onChange: () => undefined,
  })
  keeper.watch(HERE)
  await new Promise(resolve => setImmediate(resolve))
  t.is(keeper.verdictOn(HERE), 'unknown')
  keeper.close()
})

test('whoever asks for a look now hears what came of it, also when nothing was found before', async t => {
  const book = new ReachBook(BOB.id, systemRandom)
  let told: Verdict = 'unreached'
  const look: LookFromOutside = (_transport, _endpoint, nonce) => {
    if (told === 'reached') book.answerTo('tcp', reachProbe(BOB.id, nonce))
    return Promise.resolve(told)
  }
  const clock = new FakeClock()
  const keeper = new ReachKeeper({ clock, log: quiet, book, transport: 'tcp', look, onChange: () => undefined })
  t.is(await keeper.lookNow(), 'unknown', 'there is nothing to look at')
  keeper.watch(HERE)
  t.is(await keeper.lookNow(), 'unreached')
  told = 'reached'
  t.is(await keeper.lookNow(), 'reached')
  t.is(keeper.verdictOn(HERE), 'reached')
  keeper.watch(undefined)
  t.is(await keeper.lookNow(), 'unknown')
  keeper.close()
})

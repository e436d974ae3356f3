import test from 'ava'
import { AttemptBudget } from '../../../../agent/session/attempt-budget.ts'
import { FakeClock } from '../../fake-clock.ts'

const at = (port: number) => ({ address: '192.0.2.1', port })

test('an address is not dialled twice within 2 s, and then it is', t => {
  const clock = new FakeClock()
  const budget = new AttemptBudget(clock)
  t.true(budget.takeDial(at(1)))
  t.false(budget.takeDial(at(1)))
  t.true(budget.takeDial(at(2)))
  clock.advance(2_000)
  t.true(budget.takeDial(at(1)))
})

test('an address that led to the peer is dialled again at once, and counts all the same', t => {
  const budget = new AttemptBudget(new FakeClock())
  let dials = 0
  while (budget.takeDial(at(1))) {
    dials++
    budget.ledToPeer(at(1))
  }
  t.is(dials, 96)
})

test('a peer gets 96 dials, 8 UDP offers, 6 punch offers and 4 searches in 10 s, and no more whatever it says', t => {
  const clock = new FakeClock()
  const budget = new AttemptBudget(clock)
  const take = (what: () => boolean) => Array.from({ length: 300 }, what).filter(Boolean).length
  let port = 1
  t.is(
    take(() => budget.takeDial(at(port++))),
    96,
  )
  t.is(
    take(() => budget.takeUdpOffer()),
    8,
  )
  t.is(
    take(() => budget.takePunchOffer()),
    6,
  )
  t.is(
    take(() => budget.takeSearchOffer()),
    4,
  )
  clock.advance(10_000)
  t.true(budget.takeDial(at(1)))
  t.true(budget.takeUdpOffer())
  t.true(budget.takePunchOffer())
  t.true(budget.takeSearchOffer())
})

test('a peer sets off only so many rounds of probes, probes and answers', t => {
  const clock = new FakeClock()
  const budget = new AttemptBudget(clock)
  const taken = (take: () => boolean) => {
    let count = 0
    while (count < 5_000 && take()) count++
    return count
  }
  const all = () => [
    taken(() => budget.takeProbeRun()),
    taken(() => budget.takeProbe()),
    taken(() => budget.takeProbeAnswer()),
  ]
  t.deepEqual(all(), [6, 512, 1_024])
  t.deepEqual(all(), [0, 0, 0])
  clock.advance(10_000)
  t.deepEqual(all(), [6, 512, 1_024])
})

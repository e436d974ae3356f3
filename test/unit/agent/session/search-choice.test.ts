import test from 'ava'
import type { MappingBehaviour } from '../../../../agent/nat/behaviour.ts'
import { busyAgainMs, searchAgainMs, searchChoice } from '../../../../agent/session/search-choice.ts'
import type { Situation } from '../../../../common/wire/situation.ts'
import { HOME } from '../../../vectors/situations.ts'

const behind = (mapping: MappingBehaviour): Situation => ({
  ...HOME,
  udp: { mapping, filtering: 'address-and-port-dependent' },
})

const HARD = behind('address-and-port-dependent')
const EASY = behind('endpoint-independent')

test('a search is for pairs with a hard NAT through which UDP passes', t => {
  const choices: ReadonlyArray<readonly [Situation, Situation | undefined, ReturnType<typeof searchChoice>]> = [
    [HARD, EASY, 'later'],
    [EASY, HARD, 'later'],
    [HARD, behind('none'), 'later'],
    [behind('address-dependent'), EASY, 'later'],
    [HARD, HARD, 'later'],
    [EASY, EASY, 'never'],
    [EASY, behind('none'), 'never'],
    [HARD, behind('blocked'), 'never'],
    [behind('blocked'), HARD, 'never'],
    [behind('unknown'), HARD, 'never'],
    [HARD, undefined, 'never'],
  ]
  for (const [own, theirs, choice] of choices) {
    t.is(searchChoice(own, theirs, undefined), choice, `${own.udp.mapping} x ${theirs?.udp.mapping}`)
  }
})

test('what a search found before decides when the next one begins', t => {
  t.is(searchChoice(HARD, EASY, 'udp/window'), 'now')
  t.is(searchChoice(HARD, HARD, 'udp/aim'), 'now')
  t.is(searchChoice(HARD, HARD, 'none'), 'never', 'two NATs that draw their ports never meet')
  t.is(searchChoice(HARD, EASY, 'none'), 'later', 'the peer has moved to an easy one')
  t.is(searchChoice(EASY, EASY, 'udp/window'), 'never')
  t.is(searchChoice(HARD, EASY, 'of a newer version'), 'later')
})

test('a search that finds nothing is repeated soon once, and then less and less', t => {
  t.deepEqual([0, 1, 2, 3, 4, 9].map(searchAgainMs), [0, 10_000, 120_000, 600_000, 3_600_000, 3_600_000])
})

test('a busy peer is asked again for two minutes, and then counts as one that was not met', t => {
  const waits = Array.from({ length: 11 }, (_, times) => busyAgainMs(times))
  t.is(waits.at(-1), undefined)
  const ms = waits.reduce<number>((sum, wait) => sum + (wait ?? 0), 0)
  t.true(ms > 100_000 && ms < 150_000)
})

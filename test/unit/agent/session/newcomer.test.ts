import test from 'ava'
import { isForgotten, judgeNewcomer } from '../../../../agent/session/newcomer.ts'

const alive = { suspect: false, pongAt: 500 }

test('a peer whose paths are gone, or miss answers, has restarted', t => {
  t.is(judgeNewcomer(undefined, undefined, 1_000), 'restarted')
  t.is(judgeNewcomer({ suspect: true, pongAt: 900 }, 800, 1_000), 'restarted')
})

test('a newcomer beside a path in use has to come again, until that one answers or misses an answer', t => {
  t.is(judgeNewcomer(alive, undefined, 1_000), 'ask-again')
  t.is(judgeNewcomer(alive, 1_000, 1_300), 'ask-again')
  t.is(judgeNewcomer({ ...alive, pongAt: 1_001 }, 1_000, 1_300), 'clone')
})

test('an answer to what was asked for a newcomer of long ago says nothing of this one', t => {
  t.is(judgeNewcomer({ ...alive, pongAt: 50_000 }, 1_000, 61_001), 'ask-again')
})

test('only a hello that is surely newer than what the peer knew shows that it has forgotten us', t => {
  t.false(isForgotten(undefined, 1e6))
  t.false(isForgotten(1_000, 6_000))
  t.true(isForgotten(1_000, 6_001))
})

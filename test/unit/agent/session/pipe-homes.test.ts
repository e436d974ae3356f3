import test from 'ava'
import type { Carrier } from '../../../../agent/session/carriers.ts'
import { PipeHomes } from '../../../../agent/session/pipe-homes.ts'
import { ALICE } from '../../../vectors/keys.ts'
import { FakeClock } from '../../fake-clock.ts'

test('a home is kept while no relay is there, not for a short loss of it, and let go when one is back', t => {
  const clock = new FakeClock()
  const kept: number[] = []
  let hasRelay = true
  let carriers: readonly Carrier[] = []
  const homes = new PipeHomes({
    clock,
    random: { bytes: length => new Uint8Array(length), integer: low => low },
    hasRelay: () => hasRelay,
    carriers: () => carriers,
    keep: ids => kept.push(ids.size),
  })
  homes.look()
  t.is(clock.timers, 0)
  hasRelay = false
  homes.look()
  clock.advance(3_000)
  hasRelay = true
  homes.look()
  clock.advance(60_000)
  t.deepEqual(kept, [])
  hasRelay = false
  homes.look()
  clock.advance(4_000)
  t.deepEqual(kept, [], 'nobody carries yet')
  carriers = [{ id: ALICE.id, link: 'none', addressed: true }]
  clock.advance(30_000)
  t.deepEqual(kept, [1])
  clock.advance(90_000)
  hasRelay = true
  homes.look()
  t.deepEqual(kept, [1, 0])
  homes.close()
  t.is(clock.timers, 0)
})

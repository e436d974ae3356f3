import test from 'ava'
import { watchList } from '../../../../agent/session/watch-list.ts'
import { type PeerId, peerIdFromBytes } from '../../../../common/wire/peer-id.ts'

const id = (n: number): PeerId => peerIdFromBytes(new Uint8Array(32).fill(n))
const ids = (...numbers: readonly number[]) => numbers.map(id)

test('who fits is watched, each once, and those that there is something with come first', t => {
  t.deepEqual(watchList(ids(9, 1), ids(1, 2, 3), id(0), 10), ids(9, 1, 2, 3))
  t.deepEqual(watchList(ids(1, 2, 3), [], id(0), 2), ids(1, 2))
})

test('of a larger network those are watched whose ids are nearest on either side, around the end as well', t => {
  const all = ids(10, 20, 30, 40, 50, 60, 70, 80)
  t.deepEqual(new Set(watchList([], all, id(45), 4)), new Set(ids(50, 40, 60, 30)))
  t.deepEqual(new Set(watchList([], all, id(90), 4)), new Set(ids(10, 80, 20, 70)))
  t.deepEqual(new Set(watchList(ids(80), all, id(45), 3)), new Set(ids(80, 50, 40)))
})

test('who watches one that is near is watched by it', t => {
  const all = Array.from({ length: 200 }, (_, n) => id(n))
  const lists = new Map(
    all.map(own => [
      own,
      new Set(
        watchList(
          [],
          all.filter(peer => peer !== own),
          own,
          20,
        ),
      ),
    ]),
  )
  for (const [own, list] of lists) {
    t.is(list.size, 20)
    for (const peer of list) t.true(lists.get(peer)?.has(own))
  }
})

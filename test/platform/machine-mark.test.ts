import test from 'ava'
import { markMachine, marksHere } from '../../common/platform/machine-mark.ts'

const isMarkedHere = (name: string) => marksHere().has(name)

test('a mark is seen on this machine for as long as it is held', async t => {
  const name = `test-${process.pid}`
  t.false(isMarkedHere(name))
  const mark = await markMachine(name)
  t.truthy(mark)
  t.true(isMarkedHere(name))
  t.false(isMarkedHere(name.slice(0, -1)))
  t.false(isMarkedHere(`x${name}`))
  t.is(await markMachine(name), undefined, 'a second one has no place, and does no harm')
  t.true(isMarkedHere(name))
  mark?.[Symbol.dispose]()
  t.false(isMarkedHere(name))
})

import test from 'ava'
import { FlowTable, MAX_FLOWS } from '../../../../agent/service/flow-table.ts'

test('a question and its answer are over after half a minute, a conversation after two', t => {
  const table = new FlowTable<string>()
  table.add('dns', 'a question', 0)
  table.answered('dns', 20)
  table.add('vpn', 'a conversation', 0)
  table.use('vpn', 3_000)
  table.answered('vpn', 3_020)
  t.deepEqual(table.takeIdle(30_019), [])
  t.deepEqual(table.takeIdle(30_020), ['a question'])
  t.deepEqual(table.takeIdle(123_019), [])
  t.deepEqual(table.takeIdle(123_020), ['a conversation'])
  t.is(table.size, 0)
})

test('what is used in either direction stays', t => {
  const table = new FlowTable<string>()
  table.add('a', 'sends', 0)
  table.add('b', 'hears', 0)
  for (let now = 0; now <= 200_000; now += 25_000) {
    table.use('a', now)
    table.answered('b', now)
  }
  t.deepEqual(table.takeIdle(210_000), [])
})

test('a full table gives up the flow that was idle longest', t => {
  const table = new FlowTable<number>()
  for (let i = 0; i < MAX_FLOWS; i++) t.is(table.add(`${i}`, i, i), undefined)
  table.use('0', 5_000)
  t.is(table.add('new', -1, 5_001), 1)
  t.is(table.size, MAX_FLOWS)
  t.is(table.use('1', 5_002), undefined)
  t.is(table.use('0', 5_002), 0)
})

test('removing a flow leaves a later one of the same source alone', t => {
  const table = new FlowTable<string>()
  table.add('a', 'first', 0)
  table.remove('a', 'first')
  table.add('a', 'second', 1)
  table.remove('a', 'first')
  t.is(table.use('a', 2), 'second')
})

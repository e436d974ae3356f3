import test from 'ava'
import { formatControl, parseControl } from '../../../../../agent/path/datachannel/stream-control.ts'
import { mutateBytes, seededDraw } from '../../../mutate.ts'

test('each control message reads as itself', t => {
  for (const control of [
    { kind: 'hello', window: 2 ** 21, outside: { address: '192.0.2.1', port: 80 } },
    { kind: 'hello', window: 2 ** 21, outside: { address: '2001:db8::1', port: 80 } },
    { kind: 'hello', window: 2 ** 21, outside: undefined },
    { kind: 'credit', total: 0 },
    { kind: 'credit', total: 999_999_999_999_999 },
    { kind: 'end' },
    { kind: 'end-seen' },
  ] as const) {
    t.deepEqual(parseControl(formatControl(control)), control)
  }
})

test('hello is longer than a packet, so that its arrival proves that packets pass', t => {
  t.true(formatControl({ kind: 'hello', window: 2 ** 21, outside: undefined }).length > 1280)
})

for (const text of [
  'hello 2 2097152 - ',
  'hello 1 0 - ',
  'hello 1 99999999999 - ',
  'hello 1 2e6 - ',
  'hello',
  'credit',
  'credit -1',
  'credit 1.5',
  'credit 1234567890123456',
  `later ${'x'.repeat(5000)}`,
]) {
  test(`«${text.slice(0, 30)}» is malformed`, t => {
    t.is(parseControl(text), undefined)
  })
}

test('a word of a later version is known as unknown', t => {
  t.is(parseControl('pace 9'), 'unknown')
  t.is(parseControl(''), 'unknown')
})

test('20,000 mutations give a message or nothing, and never throw', t => {
  const draw = seededDraw(13)
  const originals = [
    formatControl({ kind: 'hello', window: 2 ** 21, outside: { address: '192.0.2.1', port: 80 } }),
    'credit 123456',
    'end-seen',
  ].map(text => Buffer.from(text))
  for (let i = 0; i < 20_000; i++) {
    const original = originals[i % originals.length] ?? Buffer.alloc(0)
    t.notThrows(() => parseControl(mutateBytes(original, draw, 3000).toString('latin1')))
  }
})

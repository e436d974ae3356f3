import test from 'ava'
import { questionDelayMs } from '../../../../agent/nat/udp-return.ts'

test('for half an hour UDP that comes through again is noticed within ten seconds, then within a minute or so', t => {
  t.is(questionDelayMs(0), 8_000)
  t.is(questionDelayMs(224), 8_000)
  t.is(questionDelayMs(225), 60_000)
})

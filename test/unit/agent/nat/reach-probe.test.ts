import test from 'ava'
import { probeDelayMs } from '../../../../agent/nat/reach-probe.ts'

test('for half an hour UDP that comes through again is noticed within ten seconds, then within a minute or so', t => {
  t.is(probeDelayMs(0), 8_000)
  t.is(probeDelayMs(224), 8_000)
  t.is(probeDelayMs(225), 60_000)
})

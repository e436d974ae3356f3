import test from 'ava'
import { createLog } from '../../../../common/platform/log.ts'
import { LogGate } from '../../../../common/platform/log-gate.ts'
import { FakeClock } from '../../fake-clock.ts'

function scene() {
  const clock = new FakeClock()
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line.trim()) })
  const gate = new LogGate(log, clock, () => ({ peer: 'attic' }))
  return { clock, lines, gate }
}

test('after a burst a line passes every half minute, and says how many were left out', t => {
  const { clock, lines, gate } = scene()
  for (let n = 0; n < 100; n++) gate.info('moved', { n })
  t.is(lines.length, 24)
  t.is(lines.at(-1), 'info  moved n=23')
  clock.advance(30_000)
  t.is(lines.length, 25)
  t.is(lines.at(-1), 'info  lines like those before were left out peer=attic lines=76')
  gate.warn('moved', {})
  t.is(lines.length, 25, 'that line was the one of this half minute')
  clock.advance(30_000)
  t.is(lines.at(-1), 'info  lines like those before were left out peer=attic lines=1')
  t.is(clock.timers, 0)
})

test('however long it goes on, lines come at that pace, and all are counted', t => {
  const { clock, lines, gate } = scene()
  for (let n = 0; n < 36_000; n++) {
    clock.advance(100)
    gate.info('moved', {})
  }
  gate.close()
  t.true(lines.length >= 120 && lines.length <= 24 + 121, `${lines.length} lines`)
  const counted = lines.reduce((sum, line) => sum + Number(/lines=(\d+)/.exec(line)?.[1] ?? 1), 0)
  t.is(counted, 36_000)
  t.is(clock.timers, 0)
})

test('after quiet times all lines pass again, and debug lines always', t => {
  const { clock, lines, gate } = scene()
  for (let n = 0; n < 24; n++) gate.info('moved', {})
  clock.advance(24 * 30_000)
  for (let n = 0; n < 24; n++) gate.info('moved', {})
  t.is(lines.length, 48)
  for (let n = 0; n < 10; n++) gate.debug('left', {})
  t.is(lines.length, 58)
})

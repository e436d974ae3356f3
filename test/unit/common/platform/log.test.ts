import { fstatSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import {
  createLog,
  createRateGate,
  journalReadsStderr,
  LOG_LEVELS,
  type LogOptions,
  logStyle,
} from '../../../../common/platform/log.ts'
import { FakeClock } from '../../fake-clock.ts'

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line), ...options })
  return { lines, log }
}

test('a line has level, area, message and fields', t => {
  const { lines, log } = capture()
  log
    .area('relay')
    .warn('line lost', { relay: 'r.example', after: 12, clean: false, why: 'no answer', other: undefined })
  log.info('ready', { name: '' })
  t.deepEqual(lines, [
    'warn  relay: line lost relay=r.example after=12 clean=false why="no answer"\n',
    'info  ready name=""\n',
  ])
})

test('for journald the level is a number that it understands', t => {
  const { lines, log } = capture({ style: 'journal' })
  for (const level of LOG_LEVELS) log[level]('x')
  t.deepEqual(lines, ['<3>x\n', '<4>x\n', '<6>x\n', '<7>x\n'])
})

test('outside journald, which dates lines itself, each begins with the time', t => {
  const clock = new FakeClock()
  const { lines, log } = capture(logStyle({}, clock))
  log.info('ready')
  t.deepEqual(lines, ['2023-11-14T22:13:20.000Z info  ready\n'])
  const { dev, ino } = fstatSync(2, { bigint: true })
  const journal = capture(logStyle({ JOURNAL_STREAM: `${dev}:${ino}` }, clock))
  journal.log.info('ready')
  t.deepEqual(journal.lines, ['<6>ready\n'])
})

test('a terminal that a service of systemd opened is not taken for the journal', t => {
  const { dev, ino } = fstatSync(2, { bigint: true })
  t.true(journalReadsStderr({ JOURNAL_STREAM: `${dev}:${ino}` }))
  t.false(journalReadsStderr({ JOURNAL_STREAM: `${dev}:${ino + 1n}` }))
  t.false(journalReadsStderr({}))
  t.false(journalReadsStderr({ JOURNAL_STREAM: `${dev}:${ino}` }, 9_999))
})

test('what is below the level is not written, and the level can change', t => {
  const { lines, log } = capture({ level: 'warn' })
  const area = log.area('a')
  area.info('no')
  area.error('yes')
  log.setLevel('debug')
  area.debug('now')
  t.deepEqual(lines, ['error a: yes\n', 'debug a: now\n'])
})

test('no text can forge a line, drive a terminal or turn the line around', t => {
  const evil = fc.string({ unit: 'binary', maxLength: 40 })
  const seasoned = fc.oneof(
    evil,
    fc.constantFrom(
      '\n<3>forged',
      '\r',
      '\u001b[2J',
      '\u009b31m',
      '\u202egnp',
      '\u2028',
      '\u0000',
      '\u2066',
      ' a=b',
      '"',
    ),
  )
  fc.assert(
    fc.property(fc.array(seasoned, { minLength: 2, maxLength: 6 }), parts => {
      const { lines, log } = capture({ style: 'journal' })
      log.warn(parts.join(''), { reason: parts.toReversed().join('') })
      t.is(lines.length, 1)
      const [line = ''] = lines
      t.true(line.startsWith('<4>') && line.endsWith('\n'))
      t.notRegex(line.slice(0, -1), /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/u)
    }),
    { seed: 1, numRuns: 2_000 },
  )
})

test('a field stays one field, whatever its value', t => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), value => {
      const { lines, log } = capture()
      log.info('m', { first: value, second: 'ok' })
      const match = /^info {2}m first=("(?:[^"\\]|\\.)*"|[^\s"=]+) second=ok\n$/.exec(lines[0] ?? '')
      t.truthy(match, lines[0])
    }),
    { seed: 1, numRuns: 1_000 },
  )
})

test('texts are cut to 500 characters', t => {
  const { lines, log } = capture()
  log.info('x'.repeat(10_000), { y: 'y'.repeat(10_000) })
  t.true((lines[0]?.length ?? 0) < 1_100)
})

test('a key passes once per period', t => {
  const clock = new FakeClock(5)
  const may = createRateGate(clock, 1_000)
  t.deepEqual([may('a'), may('a'), may('b')], [true, false, true])
  clock.advance(999)
  t.false(may('a'))
  clock.advance(1)
  t.deepEqual([may('a'), may('a')], [true, false])
})

test('of any number of keys, 20 pass in any period, and the gate remembers no more', t => {
  const clock = new FakeClock()
  const may = createRateGate(clock, 1_000)
  const passedAt: number[] = []
  for (let i = 0; i < 5_000; i++) {
    if (may(`stranger ${i}`)) passedAt.push(clock.now())
    clock.advance(1)
  }
  t.is(passedAt.length, 100)
  for (const start of passedAt) t.true(passedAt.filter(at => at >= start && at < start + 1_000).length <= 20)
})

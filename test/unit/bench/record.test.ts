import test from 'ava'
import { plotRates } from '../../../bench/plot.ts'
import { formatOutcomes, replaceRecord } from '../../../bench/record.ts'
import { measured, type Outcome } from '../../../bench/result.ts'

const FACTS = {
  machine: 'a machine, 2 cores',
  date: '2026-11-26T04:40:00.000Z',
  node: 'v24.0.0',
  commit: 'abc1234',
  root: true,
  congestionControl: 'cubic',
  load: 0.1,
}

const rate = (line: string, program: string, value: number): Outcome => ({
  row: 'line',
  ...measured({
    measure: `${program}: rate`,
    unit: 'Mbit/s',
    values: [value],
    point: { figure: 'rate', line, program },
  }),
})

const OUTCOMES: readonly Outcome[] = [
  {
    row: 'bulk',
    ...measured({
      measure: 'rate',
      unit: 'Mbit/s',
      values: [90, 100, 110],
      baseline: { name: 'bare', values: [100, 100, 100] },
      budget: { of: 'ratio', atLeast: 1.1 },
    }),
  },
  { row: 'other', skipped: 'failed: exit 1\na | b' },
  rate('40 ms', 'culvert', 600),
  rate('40 ms', 'ssh <-L>', 300),
  rate('80 ms', 'culvert', Number.NaN),
]

test('a record takes the place of the one before and leaves the rest of the text', t => {
  const before = 'above\n<!-- record: written by scripts/bench --record -->\nold\n<!-- end of record -->\nbelow\n'
  const once = replaceRecord(before, FACTS, OUTCOMES)
  t.true(once.startsWith('above\n'))
  t.true(once.endsWith('<!-- end of record -->\nbelow\n'))
  t.false(once.includes('old'))
  t.true(once.includes('## 2026-11-26, commit abc1234'))
  t.true(once.includes('0 of 1 budgets are held; not measured: 1.'))
  t.is(replaceRecord(once, FACTS, OUTCOMES), once)
})

test('a text without a place for a record is refused', t => {
  t.throws(() => replaceRecord('nothing', FACTS, OUTCOMES), { message: /no place for a record/ })
})

test('what misses its budget, what was not measured and what has no figure can be seen', t => {
  const text = formatOutcomes(OUTCOMES)
  t.regex(text, /^\| bulk .* 100 Mbit\/s .* 1\.00 .* ratio >= 1\.1 .* NO \|$/m)
  t.regex(text, /^\| other .* skipped: failed: exit 1 +\|/m)
  t.regex(text, /^\| culvert +\| 600 +\| - +\|$/m)
  t.regex(text, /^\| ssh <-L> +\| 300 +\| - +\|$/m)
})

test('the plot has a panel for each line, the longest bar for who carried most, and no markup from names', t => {
  const svg = plotRates(OUTCOMES)
  t.true(svg.includes('>40 ms, Mbit/s<'))
  t.true(svg.includes('>80 ms, Mbit/s<'))
  t.true(svg.includes('ssh &lt;-L>'))
  const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width))
  t.deepEqual(widths, [580, 290, 0])
})

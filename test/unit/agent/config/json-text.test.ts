import test from 'ava'
import { parseJsonText } from '../../../../agent/config/json-text.ts'
import { mutate, seeded } from './seeded-mutations.ts'

test('accepts what JSON.parse accepts, with the same value, and refuses the rest', t => {
  const random = seeded(1)
  const sample = '{ "a": [1, -2.5e3, true, null, "x\\u00e9\\n"], "b": { "c": {}, "d": [] }, "": false }'
  let accepted = 0
  for (let round = 0; round < 20_000; round++) {
    const text = round === 0 ? sample : mutate(sample, random)
    const own = parseJsonText(text)
    let value: unknown
    let isJson = true
    try {
      value = JSON.parse(text)
    } catch {
      isJson = false
    }
    if (own.ok !== isJson) t.fail(`seed 1, round ${round}: ${JSON.stringify(text)}`)
    if (!own.ok) continue
    accepted++
    if (JSON.stringify(own.value) !== JSON.stringify(value)) t.fail(`another value in round ${round}`)
  }
  t.true(accepted > 500, `only ${accepted} mutants were JSON`)
})

const faults: readonly (readonly [text: string, line: number, column: number, problem: RegExp, remedy: RegExp])[] = [
  ['', 1, 1, /empty/, /stateDir/],
  ['{\n  "a": 1,\n}', 2, 9, /comma stands before "}"/, /remove the comma/],
  ['[1,]', 1, 3, /comma stands before "]"/, /remove/],
  ['{\n  // note\n  "a": 1 }', 2, 3, /no comments/, /remove the comment/],
  ['{ "a": 1 /* x */ }', 1, 10, /no comments/, /remove/],
  ["{ 'a': 1 }", 1, 3, /single quotes/, /write "/],
  ['{ a: 1 }', 1, 3, /"a" stands where a key/, /write a key in double quotes/],
  ['{ "a" 1 }', 1, 7, /":" after the key "a"/, /here/],
  ['{ "a": 1 "b": 2 }', 1, 10, /"," or "}" belongs/, /here/],
  ['{ "a": tru }', 1, 8, /a value belongs/, /here/],
  ['{ "a": 01 }', 1, 8, /a value belongs/, /here/],
  ['{ "a": "x\n" }', 1, 10, /no closing quote/, /add the missing/],
  ['{ "a": "C:\\x" }', 1, 11, /backslash/, /\\\\/],
  ['{ "a": 1', 1, 9, /file ends/, /end of the file/],
  ['{} x', 1, 4, /follows/, /remove/],
  ['['.repeat(40), 1, 34, /nested/, /README/],
]

for (const [text, line, column, problem, remedy] of faults) {
  test(`tells place, problem and remedy of ${JSON.stringify(text.slice(0, 30))}`, t => {
    const result = parseJsonText(text)
    if (result.ok) return t.fail('accepted')
    t.deepEqual([result.fault.line, result.fault.column], [line, column])
    t.regex(result.fault.problem, problem)
    t.regex(result.fault.remedy, remedy)
  })
}

test('names a key that stands twice, however it is written', t => {
  const result = parseJsonText('{ "a": { "x": 1, "\\u0078": 2 }, "b": [{ "y": 1, "y": 2 }] }')
  t.deepEqual(result.ok && result.repeatedKeys, [
    ['a', 'x'],
    ['b', 0, 'y'],
  ])
})

test('reads a text of a megabyte without running out of stack', t => {
  t.true(parseJsonText(JSON.stringify({ a: 'é"\\'.repeat(300_000) })).ok)
})

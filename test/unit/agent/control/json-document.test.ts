import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { SAMPLE_REPORT } from './sample-report.ts'
import { SAMPLE_STATUS } from './sample-status.ts'

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../../../docs/json.md'), 'utf8')

/** Every key of a JSON document, at whatever depth. */
function keysOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [key, ...keysOf(inner)])
}

for (const [command, sample] of [
  ['status', SAMPLE_STATUS],
  ['doctor', SAMPLE_REPORT],
] as const) {
  test(`docs/json.md names every field that ${command} prints`, t => {
    const keys = new Set(keysOf(JSON.parse(JSON.stringify(sample))))
    const unnamed = [...keys].filter(key => !new RegExp(`\`([\\w[\\]]+\\.)*${key}(\\[\\])?\``).test(DOCUMENT))
    t.deepEqual(unnamed, [])
    t.true(keys.size > 20)
  })
}

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { plotRates } from './plot.ts'
import { formatOutcomes, type RunFacts, replaceRecord } from './record.ts'
import type { Outcome } from './result.ts'
import { measureRow } from './row-process.ts'
import { ROWS } from './rows.ts'
import { isRoot } from './stage.ts'

const USAGE = `usage: scripts/bench [--list] [--no-save] [--record] [ROW...]
Measures the budget table; all rows together are saved in bench/results.json, with --record in bench/README.md and its plot
too. Rows:
${ROWS.map(({ name, seconds }) => `  ${name.padEnd(20)} about ${seconds} s`).join('\n')}
`

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

function machine(): string {
  const [first, ...others] = cpus()
  return `${first?.model.trim() ?? 'unknown processor'}, ${others.length + 1} cores, ${process.platform} ${process.arch}`
}

function commit(): string | null {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    }).trim()
  } catch {
    return null
  }
}

function runFacts(): RunFacts {
  return {
    machine: machine(),
    date: new Date().toISOString(),
    node: process.version,
    commit: commit(),
    root: isRoot,
    congestionControl: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
    load: loadavg()[0] ?? 0,
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean' },
    help: { type: 'boolean' },
    'no-save': { type: 'boolean' },
    record: { type: 'boolean' },
  },
})
const unknown = positionals.find(name => !ROWS.some(row => row.name === name))
if (values.list || values.help || unknown !== undefined) {
  process.stdout.write(unknown === undefined ? USAGE : `no row ${unknown}\n${USAGE}`)
  process.exit(unknown === undefined ? 0 : 2)
}

const facts = runFacts()
const beside = (name: string) => join(import.meta.dirname, name)
// A build that happens meanwhile must not change what is measured. The copy stays in the tree, where its packages are.
const frozen = join(import.meta.dirname, '.work', String(process.pid))
await cp(beside('../dist'), frozen, { recursive: true })
process.env.CULVERT_BUNDLE ??= join(frozen, 'culvert.cjs')

const saves = !values['no-save'] && positionals.length === 0
const rows = ROWS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const outcomes: Outcome[] = []
for (const row of rows) {
  const startedAt = performance.now()
  const measured = await measureRow(row)
  outcomes.push(...measured)
  const failed = measured.some(outcome => 'skipped' in outcome && outcome.skipped.startsWith('failed'))
  if (failed) process.exitCode = 1
  say(`${row.name} ${failed ? 'failed after' : 'took'} ${Math.round((performance.now() - startedAt) / 1000)} s`)
  // After each row, so that a run which is broken off has not been for nothing.
  if (saves) await writeFile(beside('results.json'), `${JSON.stringify({ ...facts, rows: outcomes }, null, 2)}\n`)
}
await rm(frozen, { recursive: true, force: true })
process.stdout.write(`\n${formatOutcomes(outcomes)}\n`)
if (values.record && saves) {
  await writeFile(beside('rates.svg'), plotRates(outcomes))
  await writeFile(beside('README.md'), replaceRecord(await readFile(beside('README.md'), 'utf8'), facts, outcomes))
}

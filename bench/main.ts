import { execFileSync } from 'node:child_process'
import { cp, rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Outcome } from './result.ts'
import type { Row } from './row.ts'
import { ROWS } from './rows.ts'
import { isRoot } from './stage.ts'
import { formatTable } from './table.ts'

const USAGE = `usage: scripts/bench [--list] [--no-save] [ROW...]
Measures the budget table; rows:
${ROWS.map(({ name, seconds }) => `  ${name.padEnd(20)} about ${seconds} s`).join('\n')}
`

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

async function run(row: Row): Promise<readonly Outcome[]> {
  if (row.needsRoot && !isRoot) return [{ row: row.name, skipped: 'needs root, for network namespaces' }]
  const startedAt = performance.now()
  try {
    const results = await row.run()
    say(`bench: ${row.name} took ${Math.round((performance.now() - startedAt) / 1000)} s`)
    return results.map(result => ({ row: row.name, ...result }))
  } catch (thrown) {
    process.exitCode = 1
    say(`bench: ${row.name} failed: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`)
    return [{ row: row.name, skipped: 'failed' }]
  }
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

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean' }, help: { type: 'boolean' }, 'no-save': { type: 'boolean' } },
})
const unknown = positionals.find(name => !ROWS.some(row => row.name === name))
if (values.list || values.help || unknown !== undefined) {
  process.stdout.write(unknown === undefined ? USAGE : `no row ${unknown}\n${USAGE}`)
  process.exit(unknown === undefined ? 0 : 2)
}

// A build that happens meanwhile must not change what is measured. The copy stays in the tree, where its packages are.
const frozen = join(import.meta.dirname, '.work', String(process.pid))
await cp(join(import.meta.dirname, '../dist'), frozen, { recursive: true })
process.env.CULVERT_BUNDLE ??= join(frozen, 'culvert.cjs')

const rows = ROWS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const outcomes: Outcome[] = []
for (const row of rows) outcomes.push(...(await run(row)))
await rm(frozen, { recursive: true, force: true })
process.stdout.write(`\n${formatTable(outcomes)}\n`)
if (!values['no-save'] && positionals.length === 0) {
  const facts = {
    machine: machine(),
    date: new Date().toISOString(),
    node: process.version,
    commit: commit(),
    root: isRoot,
  }
  await writeFile(
    join(import.meta.dirname, 'results.json'),
    `${JSON.stringify({ ...facts, rows: outcomes }, null, 2)}\n`,
  )
}

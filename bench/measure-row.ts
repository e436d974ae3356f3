import type { Outcome } from './result.ts'
import { ROWS } from './rows.ts'
import { isRoot } from './stage.ts'

// Measures the row `NAME` and writes its outcomes as one JSON document; `row-process.ts` runs it.

const [name = ''] = process.argv.slice(2)

async function outcomes(): Promise<readonly Outcome[]> {
  const row = ROWS.find(one => one.name === name)
  if (!row) throw new Error(`no row ${name}`)
  if (row.needsRoot && !isRoot) return [{ row: name, skipped: 'needs root, for network namespaces' }]
  return (await row.run()).map(outcome => ({ row: name, ...outcome }))
}

const document = JSON.stringify(await outcomes())
// What a row has left running must not keep it from ending.
process.stdout.write(document, () => process.exit(0))

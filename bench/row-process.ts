import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Outcome } from './result.ts'
import type { Row } from './row.ts'

const GRACE_MS = 5_000
/** More than this is no row that is slow, but one that hangs. */
const limitMs = ({ seconds }: Row) => (120 + 3 * seconds) * 1000

/** Measures a row in a process of its own, so that one which throws, hangs or dies takes no other row with it. */
export async function measureRow(row: Row): Promise<readonly Outcome[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'measure-row.ts'), row.name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // A group of its own, so that all it has started can be ended with it.
    detached: true,
  })
  const end = (signal: NodeJS.Signals) => endGroup(child.pid, signal)
  const onSignal = (signal: NodeJS.Signals) => {
    end(signal)
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  let late = false
  const timers = [
    setTimeout(() => {
      late = true
      end('SIGTERM')
    }, limitMs(row)),
    setTimeout(() => end('SIGKILL'), limitMs(row) + GRACE_MS),
  ]
  const [document, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  for (const timer of timers) clearTimeout(timer)
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal)
  end('SIGKILL')
  if (code === 0) return JSON.parse(document)
  const why = late ? `took longer than ${limitMs(row) / 1000} s` : (signal ?? `exit ${code}`)
  return [{ row: row.name, skipped: `failed: ${why}` }]
}

/** All processes that the row has left. */
function endGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // Nobody is left.
  }
}

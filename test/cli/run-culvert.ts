import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

export const CULVERT = join(import.meta.dirname, '../../bin/culvert')

export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export type Environment = Readonly<Record<string, string>>

export function startCulvert(args: readonly string[], env: Environment = {}): ChildProcessWithoutNullStreams {
  const { CULVERT_CONFIG: _, CULVERT_SOCKET: __, JOURNAL_STREAM: ___, ...inherited } = process.env
  // The bundle is not what coverage is of, and each of these processes would write some hundred kilobytes of it.
  return spawn(CULVERT, args, { env: { ...inherited, NODE_V8_COVERAGE: '', ...env } })
}

/** Runs bin/culvert to its end, with `input` on its standard input. */
export async function culvert(args: readonly string[], env: Environment = {}, input = ''): Promise<Outcome> {
  const child = startCulvert(args, env)
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const closed = once(child, 'close')
  const [out, err] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()])
  await closed
  return { code: child.exitCode, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }
}

export async function temporaryHome(t: ExecutionContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'culvert-cli-'))
  t.teardown(() => rm(home, { recursive: true, force: true }))
  return home
}

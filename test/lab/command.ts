import { LabError } from './lab-error.ts'
import { describe, type ExecResult, type ProcessTable, type SpawnOptions, type WaitOptions } from './lab-process.ts'

export interface ExecOptions extends SpawnOptions, WaitOptions {}

/** Runs a program to its end, whatever its exit status; `timeout` (two minutes by default) and abort kill it and reject. */
export async function exec(
  table: ProcessTable,
  command: string,
  args: readonly string[],
  { timeoutMs = 120_000, signal, ...options }: ExecOptions = {},
): Promise<ExecResult> {
  signal?.throwIfAborted()
  const started = table.start(command, args, { input: '', ...options })
  const late = AbortSignal.timeout(timeoutMs)
  const either = signal === undefined ? late : AbortSignal.any([late, signal])
  const kill = () => started.child.kill('SIGKILL')
  either.addEventListener('abort', kill)
  const result = await started.exited
  either.removeEventListener('abort', kill)
  signal?.throwIfAborted()
  if (late.aborted) {
    const words = [command, ...args].join(' ')
    throw new LabError(
      'timeout',
      `\`${words}\` took more than ${timeoutMs} ms; it wrote:\n${result.stdout}${result.stderr}`,
    )
  }
  return result
}

/** Runs a program that must succeed, and gives its standard output; else throws `command-failed` with what it said. */
export async function execOk(
  table: ProcessTable,
  command: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<string> {
  const result = await exec(table, command, args, options)
  if (result.code === 0) return result.stdout
  const said = result.stderr.trim() || result.stdout.trim()
  const words = [command, ...args].join(' ')
  throw new LabError(
    'command-failed',
    `\`${words}\` failed (${describe(result)}): ${said}\n${options.input ?? ''}`.trim(),
  )
}

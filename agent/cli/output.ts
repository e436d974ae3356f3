import { CulvertError } from '../../common/errors.ts'
import { errorBody } from '../control/control-error.ts'
import type { CommandIo } from './command.ts'

/** One JSON document on standard output. */
export function printJson(io: Pick<CommandIo, 'out'>, document: unknown): void {
  io.out(`${JSON.stringify(document)}\n`)
}

/** Tells an error on standard error, and with `--json` as a document on standard output too. */
export function printError(io: Pick<CommandIo, 'out' | 'err'>, error: CulvertError, json: boolean): void {
  const faults = faultsOf(error)
  // Faults of a file begin with the file's name, as compilers write them, so that editors find the place.
  io.err(faults ? `${error.message}\n` : `culvert: ${error.message}\n`)
  if (!json) return
  const body = errorBody(error)
  printJson(io, faults ? { error: { ...body.error, faults } } : body)
}

function faultsOf(error: CulvertError): unknown {
  return 'faults' in error && Array.isArray(error.faults) ? error.faults : undefined
}

/** A thrown value on one line with its stack, for a log that has one line per event. */
export function stackLine(thrown: unknown): string {
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return text.replace(/\s*\n\s*/g, ' < ').slice(0, 4000)
}

export function asUsage(message: string): CulvertError {
  return new CulvertError('usage', message)
}

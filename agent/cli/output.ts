import { CulvertError } from '../../common/errors.ts'
import { journalReadsStderr } from '../../common/platform/log.ts'
import { plainText } from '../../common/wire/plain-text.ts'
import { errorBody } from '../control/control-error.ts'
import type { CommandIo } from './command.ts'

/** One line, fit for a terminal also when a peer or a relay chose some of its words. */
export function line(text: string): string {
  return `${plainText(text)}\n`
}

/** One JSON document on standard output. What could drive a terminal is escaped, so nothing of it is lost. */
export function printJson(io: Pick<CommandIo, 'out'>, document: unknown): void {
  const json = JSON.stringify(document)
  const escaped = json.replace(/[\u007f-\uffff]/g, unit => (plainText(unit) === unit ? unit : unicodeEscape(unit)))
  io.out(`${escaped}\n`)
}

function unicodeEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Tells an error on standard error, and with `--json` as a document on standard output too. */
export function printError(io: Pick<CommandIo, 'out' | 'err' | 'env'>, error: CulvertError, json: boolean): void {
  const faults = faultsOf(error)
  const journal = journalReadsStderr(io.env)
  // Faults of a file begin with the file's name, as compilers write them, so that editors find the place.
  const text = faults || journal ? error.message : `culvert: ${error.message}`
  const lines = isOurs(error) ? text.split('\n') : [text]
  io.err(lines.map(each => line(journal ? `<3>${each}` : each)).join(''))
  if (!json) return
  const body = errorBody(error)
  printJson(io, faults ? { error: { ...body.error, faults } } : body)
}

/** No peer and no relay can give these codes. Their messages may have several lines, one per fault. */
function isOurs({ code }: CulvertError): boolean {
  return code === 'usage' || code === 'bad-config'
}

function faultsOf(error: CulvertError): unknown {
  return 'faults' in error && Array.isArray(error.faults) ? error.faults : undefined
}

/** A thrown value on one line with its stack, for a log that has one line per event. */
export function stackLine(thrown: unknown): string {
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return plainText(text.replace(/\s*\n\s*/g, ' < ')).slice(0, 4000)
}

export function asUsage(message: string): CulvertError {
  return new CulvertError('usage', message)
}

import { asCulvertError, CulvertError } from '../common/errors.ts'
import { journalReadsStderr } from '../common/platform/log.ts'
import { parseArguments } from './cli/arguments.ts'
import type { CommandIo, CommandSpec } from './cli/command.ts'
import { COMMANDS, findCommand, noSuchCommand } from './cli/commands.ts'
import { EXIT_DONE, EXIT_FAILED, exitCodeOf } from './cli/exit-code.ts'
import { commandHelp, overview } from './cli/help-text.ts'
import { printError, stackLine } from './cli/output.ts'

// The command line: finds the command, loads its code and no other, and turns what it throws into words and an exit code.

const stop = new AbortController()
const io: CommandIo = {
  out: text => void process.stdout.write(text),
  err: text => void process.stderr.write(text),
  env: process.env,
  signal: stop.signal,
}

function onSignal(): void {
  // The second one is from somebody who does not want to wait.
  if (stop.signal.aborted) process.exit(EXIT_FAILED)
  stop.abort()
}

function onFault(thrown: unknown): void {
  const level = journalReadsStderr(process.env) ? '<2>' : 'culvert: '
  process.stderr.write(`${level}internal fault, please report it: ${stackLine(thrown)}\n`)
  // State that met an unforeseen fault is not to be trusted; whoever supervises us starts anew.
  process.exit(EXIT_FAILED)
}

async function main(argv: readonly string[]): Promise<number> {
  const [first = 'help', ...rest] = argv
  const word = first === '--help' || first === '-h' ? 'help' : first === '--version' ? 'version' : first
  try {
    const spec = findCommand(word)
    if (!spec) throw new CulvertError('usage', noSuchCommand(word))
    if (asksForHelp(rest)) {
      io.out(spec.name === 'help' ? overview(COMMANDS) : commandHelp(spec))
      return EXIT_DONE
    }
    return await runCommand(spec, rest)
  } catch (thrown) {
    const error = asCulvertError(thrown, 'internal', 'the command failed')
    printError(io, error, rest.includes('--json'))
    if (error.code === 'internal')
      io.err(`${journalReadsStderr(process.env) ? '<3>' : 'culvert: '}${stackLine(thrown)}\n`)
    return exitCodeOf(error.code)
  }
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.some((arg, index) => (arg === '--help' || arg === '-h') && (end < 0 || index < end))
}

async function runCommand(spec: CommandSpec, argv: readonly string[]): Promise<number> {
  const args = parseArguments(spec, argv)
  const command = await spec.load()
  return command.run(args, io)
}

// Every file is made with the mode that it needs: what the umask of whoever is root here took off, the service's user lacks.
if (process.geteuid?.() === 0) process.umask(0o022)
process.on('uncaughtException', onFault)
process.on('unhandledRejection', onFault)
process.on('SIGINT', onSignal)
process.on('SIGTERM', onSignal)
// `culvert status | head -1` is no fault of ours.
process.stdout.on('error', () => process.exit(EXIT_FAILED))
process.stderr.on('error', () => undefined)

main(process.argv.slice(2)).then(code => {
  process.exitCode = code
  // What is left open (a terminal, a waiting pipe) must not hold a finished command; what was printed goes out first.
  if (process.stdout.writableEnded) process.exit(code)
  process.stdout.write('', () => process.exit(code))
}, onFault)

import type { CommandSpec, OptionSpec } from './command.ts'

/** The page of `culvert help`: every command on one line. */
export function overview(commands: readonly CommandSpec[]): string {
  const width = Math.max(...commands.map(command => callOf(command).length))
  const lines = commands.map(command => `  ${callOf(command).padEnd(width)}  ${command.summary}`)
  return `culvert: reach your machines wherever they are
usage: culvert COMMAND [OPTION...]

${lines.join('\n')}

"culvert help COMMAND" tells the options of a command.
Exit codes: 0 done, 1 failed, 2 usage or config, 3 peer unreachable or offline, 4 not allowed, 5 no agent running.
`
}

/** The page of `culvert help COMMAND`. */
export function commandHelp(command: CommandSpec): string {
  const options = toldOptions(command).map(
    ([name, { value, summary }]) => [`--${name}${value === undefined ? '' : ` ${value}`}`, summary] as const,
  )
  const width = Math.max(0, ...options.map(([option]) => option.length))
  const listed = options.map(([option, summary]) => `  ${option.padEnd(width)}  ${summary}`)
  const page = [
    `usage: culvert ${callOf(command)}${options.length > 0 ? ' [OPTION...]' : ''}\n\n${command.summary}\n`,
    listed.length > 0 ? `${listed.join('\n')}\n` : '',
    command.notes === undefined ? '' : `${command.notes}\n`,
  ]
  return page.filter(part => part !== '').join('\n')
}

/** The options that people are told of. */
export function toldOptions({ options }: CommandSpec): readonly (readonly [string, OptionSpec])[] {
  return Object.entries(options).filter(([, { hidden }]) => !hidden)
}

function callOf(command: CommandSpec): string {
  return [command.name, ...command.operands].join(' ')
}

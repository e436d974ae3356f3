import type { CommandSpec } from '../../agent/cli/command.ts'
import { toldOptions } from '../../agent/cli/help-text.ts'

/** culvert(1), from the same table as `culvert help`. */
export function manPage(commands: readonly CommandSpec[], version: string, epoch: number): string {
  const date = new Date(epoch * 1000).toISOString().slice(0, 10)
  return `.TH CULVERT 1 ${date} "culvert ${version}"
.SH NAME
culvert \\- reach your machines wherever they are
.SH SYNOPSIS
.B culvert
.I COMMAND
[\\fIOPTION\\fR...]
.SH COMMANDS
${commands.map(section).join('')}.SH FILES
.TP
.I /etc/culvert/agent.json
the config of the agent
.TP
.I /etc/culvert/relay.json
the config of a relay
.TP
.I /var/lib/culvert
identity and state
.SH EXIT STATUS
0 done, 1 failed, 2 usage or config, 3 peer unreachable or offline, 4 not allowed, 5 no agent running
.SH SEE ALSO
.I /usr/share/doc/culvert/README.md
`
}

function section(command: CommandSpec): string {
  const { name, operands, summary, notes } = command
  const listed = toldOptions(command).map(
    ([option, { value, summary }]) =>
      `.TP\n\\fB\\-\\-${literal(option)}\\fR${value === undefined ? '' : ` \\fI${literal(value)}\\fR`}\n${literal(summary)}\n`,
  )
  const words = notes === undefined ? '' : `.PP\n${notes.split('\n').map(literal).join('\n.br\n')}\n`
  return `.SS culvert ${literal([name, ...operands].join(' '))}\n${literal(summary)}\n${listed.join('')}${words}`
}

/** Text that roff prints as it is. */
function literal(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/, '\\&$&')
}

import type { AgentStatus } from '../control/status.ts'
import type { PageStyle } from '../control/text-table.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { printJson } from './output.ts'
import { pageStyle } from './page-style.ts'
import { agentOf } from './running-agent.ts'

/** To the first corner of the terminal; the rest of a line; all below (ECMA-48 CUP, EL, ED): no line is blank meanwhile. */
const TO_CORNER = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'

/** What a command shows of the agent: in words, and as JSON. */
export interface Page {
  words(status: AgentStatus, style: PageStyle): string
  json(status: AgentStatus): unknown
}

/** Shows the page once; with `--watch` again after every change, until the command is stopped. */
export async function showPage(page: Page, args: Arguments, io: CommandIo): Promise<number> {
  const agent = await agentOf(args, io)
  const show = (status: AgentStatus, inPlace: boolean) => {
    if (args.flag('json')) {
      printJson(io, page.json(status))
      return
    }
    const words = page.words(status, pageStyle(io))
    io.out(inPlace ? redrawn(words, process.stdout.rows) : words)
  }
  if (args.flag('watch')) {
    for await (const status of agent.watchStatus(io.signal)) show(status, process.stdout.isTTY)
  } else {
    show(await agent.status(io.signal), false)
  }
  return EXIT_DONE
}

/** The page over the last one; what is longer than the terminal is cut, for it would scroll. */
function redrawn(page: string, rows: number): string {
  const lines = page.trimEnd().split('\n')
  const shown = rows > 1 ? lines.slice(0, rows - 1) : lines
  return `${TO_CORNER}${shown.map(line => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`
}

import { formatPeers } from '../control/format-status.ts'
import type { AgentStatus } from '../control/status.ts'
import type { PageStyle } from '../control/text-table.ts'
import type { Arguments, CommandIo } from './command.ts'
import { showPage } from './live-page.ts'

export function run(args: Arguments, io: CommandIo): Promise<number> {
  return showPage({ words, json: ({ peers }) => peers }, args, io)
}

function words({ peers }: AgentStatus, style: PageStyle): string {
  return peers.length > 0
    ? formatPeers(peers, style)
    : 'no peers yet: "culvert invite" makes a code for another device; or add it to "peers" in the config\n'
}

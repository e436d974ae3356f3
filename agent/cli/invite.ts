import { isName } from '../../common/wire/name.ts'
import type { Arguments, CommandIo } from './command.ts'
import { durationS } from './duration.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { agentOf } from './running-agent.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const name = args.value('name')
  const roles = args.values('role')
  for (const written of [...(name === undefined ? [] : [name]), ...roles]) {
    if (!isName(written)) throw asUsage(`"${written.slice(0, 80)}" is no name; write letters, digits, "-", "_" and "."`)
  }
  const forS = durationS(args.value('expires') ?? '24h', '1m', '30d')
  const agent = await agentOf(args, io)
  const invite = await agent.invite({ name, roles, forS }, io.signal)
  if (args.flag('json')) {
    printJson(io, invite)
    return EXIT_DONE
  }
  if (args.flag('qr') || process.stdout.isTTY) {
    const { qrCode } = await import('./qr-code.ts')
    io.out(qrCode(invite.code))
  }
  io.out(line(invite.code))
  const until = invite.expiresAt.slice(0, 16).replace('T', ' ')
  io.err(
    `On the other device, run "sudo culvert join", and enter it there.\nIt lets one device in, until ${until} UTC. Whoever has it can be that device.\n`,
  )
  return EXIT_DONE
}

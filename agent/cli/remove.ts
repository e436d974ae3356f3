import { isPeerText } from '../config/name.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { agentOf } from './running-agent.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const peer = args.operand(0)
  if (!isPeerText(peer)) throw asUsage(`"${peer.slice(0, 80)}" is no peer's name or id`)
  const agent = await agentOf(args, io)
  const devices = args.flag('with-devices') ? 'go' : 'stay'
  const { id, name, stay, gone } = await agent.remove(peer, devices, io.signal)
  if (args.flag('json')) printJson(io, { id, name, stay, gone })
  else {
    io.out(line(`${name} (${id}) is removed from the network; the others hear of it as they meet`))
    if (gone.length > 0) io.out(line(`with it went ${listed(gone)}, which it had let in`))
    if (stay.length > 0)
      io.out(line(`${listed(stay)}, which it had let in, stay members: remove those you do not know`))
  }
  return EXIT_DONE
}

const LISTED = 20

function listed(devices: readonly { readonly name: string }[]): string {
  const names = devices.slice(0, LISTED).map(({ name }) => name)
  const more = devices.length > LISTED ? ` and ${devices.length - LISTED} more` : ''
  return `${names.join(', ')}${more}`
}

import { formatAddress, parseAddress } from '../config/address.ts'
import { parsePeerService } from '../config/name.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { agentOf } from './running-agent.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const listen = listenAddress(args.operand(0))
  const to = args.operand(1)
  const removes = args.flag('remove')
  if (removes && to !== '')
    throw asUsage('with --remove, give the listen address alone: culvert forward LISTEN --remove')
  const needs = !listen.startsWith('socks5:')
  if (!removes && needs && !parsePeerService(to)) {
    throw asUsage(to === '' ? 'PEER/SERVICE is missing; see "culvert help forward"' : `"${to}" is not PEER/SERVICE`)
  }
  if (!needs && to !== '') throw asUsage(`a SOCKS5 listener leads to every service: leave out "${to}"`)
  const agent = await agentOf(args, io)
  if (!removes) {
    const forward = await agent.addForward(listen, to === '' ? undefined : to, io.signal)
    if (args.flag('json')) printJson(io, forward)
    else io.out(line(`${forward.listen} leads to ${forward.to} until the agent stops`))
    return EXIT_DONE
  }
  const removed = await agent.removeForward(listen, io.signal)
  if (args.flag('json')) printJson(io, { listen, removed })
  else if (removed) io.out(`${listen} is closed\n`)
  else io.err(`culvert: there is no forward at ${listen}; "culvert status" lists them\n`)
  return removed ? EXIT_DONE : EXIT_FAILED
}

/** What may be written short: `2222` is `tcp://127.0.0.1:2222`. */
export function listenAddress(written: string): string {
  const whole = /^\d+$/.test(written)
    ? `tcp://127.0.0.1:${written}`
    : written.includes('//') || written.startsWith('unix:')
      ? written
      : `tcp://${written}`
  const address = parseAddress(whole)
  if (address) return formatAddress(address)
  throw asUsage(
    `"${written.slice(0, 80)}" is no address to listen on; write PORT, HOST:PORT, tcp://HOST:PORT, udp://HOST:PORT, unix:/PATH or socks5://HOST:PORT`,
  )
}

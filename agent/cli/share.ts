import { isName } from '../../common/wire/name.ts'
import { formatAddress, parseTarget } from '../config/address.ts'
import { formatFault } from '../config/config-fault.ts'
import { editConfig } from '../config/edit-config.ts'
import { withEntry } from '../config/written-config.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { takeOver } from './take-over.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const name = serviceName(args.operand(0))
  const target = targetAddress(args.operand(1))
  const allow = args.values('allow')
  const service = { target, ...(allow.length > 0 ? { allow } : {}) }
  const path = configPathOf(args, io)
  const { warnings } = await editConfig(path, written => withEntry(written, 'services', name, service))
  for (const warning of warnings.filter(({ place }) => place.startsWith(`services.${name}`))) {
    io.err(line(`${path}: warning: ${formatFault(warning)}`))
  }
  const running = await takeOver(args, io)
  if (args.flag('json')) printJson(io, { name, target, allow: allow.length > 0 ? allow : ['*'], running })
  else io.out(line(`${name} leads to ${target}${running ? '' : ' as soon as the agent runs'}`))
  return EXIT_DONE
}

export function serviceName(written: string): string {
  if (isName(written)) return written
  throw asUsage(`"${written.slice(0, 80)}" is no name of a service; write letters, digits, "-", "_" and "."`)
}

/** What may be written short: `8080` is `tcp://127.0.0.1:8080`. */
function targetAddress(written: string): string {
  const whole = /^\d+$/.test(written)
    ? `tcp://127.0.0.1:${written}`
    : written.includes('//') || written.startsWith('unix:')
      ? written
      : `tcp://${written}`
  const target = parseTarget(whole)
  if (target) return formatAddress(target)
  const forms = 'PORT, HOST:PORT, tcp://HOST:PORT, udp://HOST:PORT or unix:/PATH'
  throw asUsage(`"${written.slice(0, 80)}" is no target; write ${forms}`)
}

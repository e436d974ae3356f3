import { isName } from '../../common/wire/name.ts'
import { formatAddress, parseTarget } from '../config/address.ts'
import { formatFault } from '../config/config-fault.ts'
import { editConfig } from '../config/edit-config.ts'
import { entryOf, withEntry } from '../config/written-config.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { takeOver } from './take-over.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const name = serviceName(args.operand(0))
  const target = targetAddress(args.operand(1))
  const allow = args.values('allow')
  const path = configPathOf(args, io)
  const { warnings, config } = await editConfig(path, written => {
    // A service that some may use is not opened to all by another target.
    const before = entryOf(written, 'services', name)
    return withEntry(written, 'services', name, { ...before, target, ...(allow.length > 0 ? { allow } : {}) })
  })
  for (const warning of warnings.filter(({ place }) => place.startsWith(`services.${name}`))) {
    io.err(line(`${path}: warning: ${formatFault(warning)}`))
  }
  const running = await takeOver(args, io)
  const may = config.services[name]?.allow ?? []
  if (args.flag('json')) printJson(io, { name, target, allow: may, running })
  else
    io.out(line(`${name} leads to ${target}${running ? '' : ' as soon as the agent runs'}; ${whoOf(may)} may use it`))
  return EXIT_DONE
}

function whoOf(allow: readonly string[]): string {
  if (allow.includes('*')) return 'all peers'
  return allow.length === 0 ? 'nobody' : allow.join(', ')
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

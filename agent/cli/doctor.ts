import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { readConfig } from '../config/load-config.ts'
import { isPeerText } from '../config/name.ts'
import { examineWithout } from '../control/doctor/examine.ts'
import type { DoctorReport } from '../control/doctor/report.ts'
import { formatDoctor } from '../control/format-doctor.ts'
import { relayAddresses } from '../rendezvous/relay-addresses.ts'
import { VERSION } from '../version.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE, EXIT_FAILED, exitCodeOf } from './exit-code.ts'
import { asUsage, printJson } from './output.ts'
import { pageStyle } from './page-style.ts'
import { agentOf } from './running-agent.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const peer = args.operand(0)
  if (peer !== '' && !isPeerText(peer)) throw asUsage(`"${peer.slice(0, 80)}" is no peer's name or id`)
  const report = await examine(peer === '' ? undefined : peer, args, io)
  if (args.flag('json')) printJson(io, report)
  else io.out(formatDoctor(report, pageStyle(io)))
  if (report.agent === 'not-running') return exitCodeOf('agent-not-running')
  return report.healthy ? EXIT_DONE : EXIT_FAILED
}

/** Without an agent, what can be seen from here. */
async function examine(peer: string | undefined, args: Arguments, io: CommandIo): Promise<DoctorReport> {
  try {
    // What is wrong with the config is on the page.
    const agent = await agentOf(args, { env: io.env })
    return await agent.doctor(peer, io.signal)
  } catch (thrown) {
    const gone = thrown instanceof CulvertError && (thrown.code === 'agent-not-running' || thrown.code === 'bad-config')
    if (!gone) throw thrown
    const configPath = configPathOf(args, io)
    const config = await readConfig(configPath)
    const relays = config.ok ? relayAddresses(config.config.relays, io.env) : []
    const doors = { clock: systemClock, signal: io.signal }
    return examineWithout({ configPath, relays, version: VERSION }, thrown.message, doors)
  }
}

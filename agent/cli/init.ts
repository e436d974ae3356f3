import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { formatFault } from '../config/config-fault.ts'
import { nameFromHost } from '../config/name.ts'
import { parseConfig } from '../config/parse-config.ts'
import { exists } from '../identity/exists.ts'
import { loadOrCreateIdentity } from '../identity/identity.ts'
import { foundNetwork } from '../trust/home-network.ts'
import { type NetworkPlace, readNetwork } from '../trust/network-store.ts'
import { asOwnerOf } from './as-owner.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { howToRun } from './how-to-run.ts'
import { alreadyThere, newConfigText, type RelayOption, writeNewConfig } from './new-config.ts'
import { asUsage, line, printJson } from './output.ts'
import { refuseStart, startService } from './start-service.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const path = resolve(configPathOf(args, io))
  const written = args.value('name') ?? nameFromHost(hostname())
  const wanted = args.values('relay').map(relayOption)
  const text = newConfigText(path, written, wanted)
  const parsed = parseConfig(text, path)
  if (!parsed.ok) throw asUsage(parsed.faults.map(formatFault).join('\n'))
  if (await exists(path)) throw alreadyThere(path, wanted)
  const starts = args.flag('start')
  if (starts) refuseStart(path)
  const { name, stateDir, relays } = parsed.config
  const log = createLog({ level: 'warn', style: 'words', write: io.err })
  // First the identity: without it a config would be in the way of the next try.
  const identity = await loadOrCreateIdentity(stateDir, { log })
  const place = { stateDir, identity }
  const known = (await readNetwork(place, log))?.network
  const network = known ?? (await asOwnerOf(stateDir, () => found(place, name)))
  await writeNewConfig(path, text)
  for (const warning of parsed.warnings) io.err(line(`${path}: warning: ${formatFault(warning)}`))
  if (starts) await startService(path)
  const { id } = identity
  if (args.flag('json')) printJson(io, { id, name, config: path, stateDir, network, peers: { [name]: { id } } })
  else io.out(summary({ path, name, id, stateDir, isNew: known === undefined, hasRelay: relays.length > 0, starts }))
  return EXIT_DONE
}

async function found(place: NetworkPlace, name: string): Promise<PeerId> {
  const { network } = await foundNetwork(place, name, { clock: systemClock, random: systemRandom })
  return network
}

/** `URL#ID`, as `culvert relay` tells them; the id may be left out where a certificate authority vouches. */
function relayOption(written: string): RelayOption {
  const at = written.indexOf('#')
  return at < 0 ? { url: written } : { url: written.slice(0, at), id: written.slice(at + 1) }
}

interface Made {
  readonly path: string
  readonly name: string
  readonly id: string
  readonly stateDir: string
  readonly isNew: boolean
  readonly hasRelay: boolean
  readonly starts: boolean
}

function summary({ path, name, id, stateDir, isNew, hasRelay, starts }: Made): string {
  const key = isNew
    ? `It is the first device of a network of its own. Whoever has ${stateDir}/network.key
rules that network: keep a copy of it in a safe place.`
    : 'It stays in the network that it belongs to.'
  const relay = hasRelay
    ? ''
    : 'No relay is set, so only devices on the same local network find each other. Add one to "relays" in the config.\n\n'
  return `Wrote ${path}; the identity is in ${stateDir}.

This machine is "${name}":
  ${id}
${key}

${relay}${starts ? 'Its agent runs.' : `Have its agent run:\n  ${howToRun(path)}`}
Then, for each device that is to come in, run here "culvert invite", and "culvert join" there.
`
}

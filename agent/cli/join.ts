import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { listInterfaceAddresses } from '../../common/platform/network-interfaces.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { decodeInvite, type InviteCode, type InviteRelay } from '../../common/wire/invite-code.ts'
import { isName } from '../../common/wire/name.ts'
import type { AgentConfig } from '../config/agent-config.ts'
import { formatFault } from '../config/config-fault.ts'
import { editConfig } from '../config/edit-config.ts'
import { loadConfig } from '../config/load-config.ts'
import { nameFromHost } from '../config/name.ts'
import { parseConfig } from '../config/parse-config.ts'
import { withRelays } from '../config/written-config.ts'
import { type ControlClient, createControlClient } from '../control/control-client.ts'
import { exists } from '../identity/exists.ts'
import { loadOrCreateIdentity } from '../identity/identity.ts'
import { refuseExpired } from '../join/join-network.ts'
import { Joining, type JoinReply } from '../join/joining.ts'
import { createSealer } from '../path/seal.ts'
import { HomeNetwork } from '../trust/home-network.ts'
import { VERSION } from '../version.ts'
import { asOwnerOf } from './as-owner.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { howToRun } from './how-to-run.ts'
import { newConfigText, writeNewConfig } from './new-config.ts'
import { asUsage, line, printJson } from './output.ts'
import { readCode } from './read-code.ts'
import { agentOf } from './running-agent.ts'
import { refuseStart, startService } from './start-service.ts'
import { takeOver } from './take-over.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const operand = args.operand(0)
  const written = operand === '' || operand === '-' ? await readCode(io) : operand
  const code = decodeInvite(written)
  refuseExpired(code, systemClock)
  const path = resolve(configPathOf(args, io))
  const config = (await exists(path)) ? (await loadConfig(path)).config : undefined
  const name = nameFor(args.value('name') ?? config?.name)
  if (args.flag('start')) refuseStart(path)
  const fresh = newConfigText(path, name, relaysOf(code))
  // The clock's own timers let a process end that has nothing else to do.
  const alive = setInterval(() => undefined, 2 ** 30)
  try {
    const agent = config ? await agentOf(args, io) : agentAt(args, io, firstConfig(fresh, path))
    const joined = await join(agent, io, written, name, config ?? firstConfig(fresh, path))
    const said = await keepConfig(path, config !== undefined, code, joined)
    for (const warning of said) io.err(line(`${path}: warning: ${warning}`))
    const runs = await takeOver(args, io)
    if (!runs && args.flag('start')) await startService(path)
    const running = runs || args.flag('start')
    if (args.flag('json')) printJson(io, { ...joined, config: path, running })
    else io.out(summary(path, joined, running))
    return EXIT_DONE
  } finally {
    clearInterval(alive)
  }
}

/** One may run without a config of this name. */
function agentAt(args: Arguments, io: CommandIo, { controlSocket }: AgentConfig): ControlClient {
  return createControlClient(resolve(args.value('socket') ?? (io.env.CULVERT_SOCKET || controlSocket)))
}

/** By the agent that runs, which is then in the network at once; else here. */
async function join(
  agent: ControlClient,
  io: CommandIo,
  code: string,
  name: string,
  { stateDir, lan }: AgentConfig,
): Promise<JoinReply> {
  try {
    return await agent.join(code, name, io.signal)
  } catch (thrown) {
    if (!(thrown instanceof CulvertError && thrown.code === 'agent-not-running')) throw thrown
  }
  const log = createLog({ level: 'warn', style: 'words', write: io.err })
  const identity = await loadOrCreateIdentity(stateDir, { log })
  return asOwnerOf(stateDir, () => joinHere({ stateDir, identity, looksOnLan: lan.discovery }, io, code, name))
}

interface Here {
  readonly stateDir: string
  readonly identity: KeyPair
  readonly looksOnLan: boolean
}

async function joinHere({ stateDir, identity, looksOnLan }: Here, io: CommandIo, code: string, name: string) {
  // What cannot be reached is told at the end, in the words of who asked.
  const log = createLog({ level: 'error', style: 'words', write: io.err })
  const common = { stateDir, identity, clock: systemClock, random: systemRandom, log, onChange: () => undefined }
  const home = await HomeNetwork.open(common)
  const joining = await Joining.open({
    ...common,
    home,
    sealer: createSealer(identity, systemClock),
    software: `culvert/${VERSION}`,
    env: io.env,
    relays: () => [],
    looksOnLan: () => looksOnLan,
    endpoints: () => [],
    isTaken: () => false,
    addresses: () => listInterfaceAddresses().map(({ address }) => address),
  })
  try {
    return await joining.join(code, name, io.signal)
  } finally {
    joining.close()
    await home.save()
  }
}

/** The relays over which the others are reached, and the name that the network knows this device by. */
async function keepConfig(
  path: string,
  isThere: boolean,
  code: InviteCode,
  { name }: JoinReply,
): Promise<readonly string[]> {
  if (!isThere) {
    await writeNewConfig(path, newConfigText(path, name, relaysOf(code)))
    return []
  }
  const edited = await editConfig(path, written => withRelays({ ...written, name }, relaysOf(code)))
  return edited.changed ? edited.warnings.map(formatFault) : []
}

function relaysOf({ relays }: InviteCode): readonly InviteRelay[] {
  return relays.map(({ url, id }) => (id ? { url, id } : { url }))
}

function firstConfig(text: string, path: string): AgentConfig {
  const parsed = parseConfig(text, path)
  if (!parsed.ok) throw asUsage(parsed.faults.map(formatFault).join('\n'))
  return parsed.config
}

function nameFor(wished: string | undefined): string {
  if (wished === undefined) return nameFromHost(hostname())
  if (isName(wished)) return wished
  throw asUsage(`"${wished.slice(0, 80)}" is no name; write letters, digits, "-", "_" and "."`)
}

function summary(path: string, { network, name, already }: JoinReply, running: boolean): string {
  const what = already ? 'is in the network already' : 'is in the network now'
  const next = running ? '' : `\nHave its agent run:\n  ${howToRun(path)}\n`
  return `This machine, "${name}", ${what}:\n  ${network}\n${next}`
}

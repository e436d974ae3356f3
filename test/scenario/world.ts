import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ControlClient } from '../../agent/control/control-client.ts'
import { createControlClient } from '../../agent/control/control-client.ts'
import type { AgentStatus, PeerStatus } from '../../agent/control/status.ts'
import { loadOrCreateIdentity } from '../../agent/identity/identity.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Lab } from '../lab/lab.ts'
import { startLab } from '../lab/lab.ts'
import type { LabHost } from '../lab/lab-host.ts'
import type { LabOptions } from '../lab/lab-options.ts'
import type { ExecResult, LabProcess } from '../lab/lab-process.ts'

const ROOT = join(import.meta.dirname, '../..')
/** The bundle that users run, started without the wrapper so that its pid is the agent's own. */
const BUNDLE = join(ROOT, 'dist/culvert.mjs')
export const CULVERT = join(ROOT, 'bin/culvert')

const START_MS = 15_000
const QUIET = createLog({ level: 'error', style: 'words', write: () => undefined })

/** What an agent's config says beside what every one in a world has. */
export interface AgentOptions {
  /** Names of agents that it trusts; by default all others. */
  readonly peers?: readonly string[]
  readonly keep?: boolean
  readonly config?: Readonly<Record<string, unknown>>
  /** Site or host it runs on; by default of the agent's own name. */
  readonly host?: string
  readonly environment?: Readonly<Record<string, string>>
}

export interface WorldOptions {
  readonly lab: LabOptions
  readonly agents: Readonly<Record<string, AgentOptions>>
  readonly relay?: Readonly<Record<string, unknown>> | false
}

/** A lab with a relay on port 443 of its middle, and agents on its hosts. All are the real programs. */
export class World implements AsyncDisposable {
  readonly lab: Lab
  readonly directory: string
  readonly #agents = new Map<string, TestAgent>()
  readonly #servers: Server[] = []
  readonly #keys = new Map<string, KeyPair>()
  relay: LabProcess | undefined
  #relayOptions: WorldOptions['relay']

  private constructor(lab: Lab, directory: string, options: WorldOptions) {
    this.lab = lab
    this.directory = directory
    this.#relayOptions = options.relay
  }

  static async start(options: WorldOptions): Promise<World> {
    const directory = await mkdtemp(join(tmpdir(), 'culvert-'))
    const world = new World(await startLab(options.lab), directory, options)
    try {
      for (const name of Object.keys(options.agents)) await world.prepare(name)
      if (options.relay !== false) await world.startRelay()
      await Promise.all(Object.entries(options.agents).map(([name, agent]) => world.startAgent(name, agent)))
      return world
    } catch (thrown) {
      await world[Symbol.asyncDispose]()
      throw thrown
    }
  }

  agent(name: string): TestAgent {
    const agent = this.#agents.get(name)
    if (!agent) throw new Error(`no agent ${name} in this world`)
    return agent
  }

  idOf(name: string): PeerId {
    const key = this.#keys.get(name)
    if (!key) throw new Error(`no key for ${name}`)
    return key.id
  }

  keyOf(name: string): KeyPair {
    const key = this.#keys.get(name)
    if (!key) throw new Error(`no key for ${name}`)
    return key
  }

  /** Makes the identity of an agent that starts later, so that others can know it before. */
  async prepare(name: string): Promise<void> {
    const stateDir = join(this.directory, name, 'state')
    await mkdir(stateDir, { recursive: true, mode: 0o700 })
    this.#keys.set(name, await loadOrCreateIdentity(stateDir, { log: QUIET }))
  }

  async startRelay(): Promise<LabProcess> {
    const file = join(this.directory, 'relay.json')
    const [first, second] = this.lab.relayHost.addresses.v4
    await writeFile(
      file,
      JSON.stringify({
        listen: '0.0.0.0:443',
        stun: { addresses: [first, second], port: 3478 },
        stateDir: join(this.directory, 'relay'),
        limits: { mbitPerPeer: 10_000 },
        log: { level: 'debug' },
        ...(this.#relayOptions === false ? {} : this.#relayOptions),
      }),
    )
    this.relay = this.lab.relayHost.spawn(process.execPath, [BUNDLE, 'relay', '--config', file])
    await this.relay.waitForOutput(/relay ready/, { timeoutMs: START_MS })
    return this.relay
  }

  async startAgent(name: string, options: AgentOptions = {}): Promise<TestAgent> {
    const directory = join(this.directory, name)
    const stateDir = join(directory, 'state')
    const others = options.peers ?? [...this.#keys.keys()].filter(other => other !== name)
    const config = join(directory, 'agent.json')
    const socket = join(directory, 'agent.sock')
    await writeFile(
      config,
      JSON.stringify({
        name,
        stateDir,
        controlSocket: socket,
        relays: [{ url: `http://${this.lab.relayHost.addresses.v4[0]}:443` }],
        peers: Object.fromEntries(others.map(other => [other, { id: this.idOf(other), keep: options.keep ?? false }])),
        log: { level: 'debug' },
        ...options.config,
      }),
    )
    const agent = new TestAgent(name, this.lab.host(options.host ?? name), config, socket, options.environment ?? {})
    this.#agents.set(name, agent)
    await agent.start()
    return agent
  }

  /** A service of this test's own behind a unix socket, which every host of the lab can reach; gives its target. */
  async serve(name: string, onConnection: (socket: Socket) => void): Promise<string> {
    const path = join(this.directory, `${name}.sock`)
    const server = createServer({ allowHalfOpen: true }, socket => {
      socket.on('error', () => undefined)
      onConnection(socket)
    })
    await new Promise<void>(resolve => server.listen(path, resolve))
    this.#servers.push(server)
    return `unix:${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close()
    await this.lab[Symbol.asyncDispose]()
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** One agent at work in the lab. */
export class TestAgent {
  readonly name: string
  readonly host: LabHost
  readonly configPath: string
  readonly socketPath: string
  readonly client: ControlClient
  readonly #environment: Readonly<Record<string, string>>
  process: LabProcess | undefined

  constructor(
    name: string,
    host: LabHost,
    configPath: string,
    socketPath: string,
    environment: Readonly<Record<string, string>>,
  ) {
    this.name = name
    this.host = host
    this.configPath = configPath
    this.socketPath = socketPath
    this.#environment = environment
    this.client = createControlClient(socketPath)
  }

  async start(): Promise<void> {
    this.process = this.host.spawn(process.execPath, [BUNDLE, 'agent', '--config', this.configPath], {
      env: this.#environment,
    })
    await this.process.waitForOutput(/agent ready/, { timeoutMs: START_MS })
  }

  /** What the agent has logged so far. */
  get log(): string {
    return this.process?.stderr ?? ''
  }

  status(): Promise<AgentStatus> {
    return this.client.status()
  }

  async peer(name: string): Promise<PeerStatus> {
    const found = (await this.status()).peers.find(peer => peer.name === name)
    if (!found) throw new Error(`${this.name} knows no ${name}`)
    return found
  }

  /** The command line, on this agent's host. */
  cli(...args: readonly string[]): Promise<ExecResult> {
    return this.host.exec(process.execPath, [BUNDLE, ...args], { env: { CULVERT_SOCKET: this.socketPath } })
  }

  /** Waits for a status that satisfies; rejects with the last one seen. */
  async waitFor(what: string, satisfied: (status: AgentStatus) => boolean, timeoutMs = 15_000): Promise<AgentStatus> {
    const late = AbortSignal.timeout(timeoutMs)
    let last: AgentStatus | undefined
    try {
      for await (const status of this.client.watchStatus(late)) {
        last = status
        if (satisfied(status)) return status
      }
    } catch (thrown) {
      if (!late.aborted) throw thrown
    }
    throw new Error(`${this.name} did not see ${what} in ${timeoutMs} ms: ${JSON.stringify(last?.peers ?? last)}`)
  }

  waitForPeer(name: string, what: string, satisfied: (peer: PeerStatus) => boolean, timeoutMs?: number) {
    return this.waitFor(
      `${name} ${what}`,
      status => status.peers.some(peer => peer.name === name && satisfied(peer)),
      timeoutMs,
    )
  }
}

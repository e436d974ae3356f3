import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadOrCreateIdentity } from '../../agent/identity/identity.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Lab } from '../lab/lab.ts'
import { startLab } from '../lab/lab.ts'
import type { LabOptions } from '../lab/lab-options.ts'
import type { LabProcess } from '../lab/lab-process.ts'
import { culvertCommand, ensureBuilt } from './built-bundle.ts'
import { type Machine, ThisMachine } from './machine.ts'
import { START_MS, TestAgent } from './test-agent.ts'
import { echoService } from './transfer.ts'

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
  /** `here`: no lab, all on the loopback of this machine, which needs no root. */
  readonly lab: LabOptions | 'here'
  readonly agents: Readonly<Record<string, AgentOptions>>
  readonly relay?: Readonly<Record<string, unknown>> | false
}

/** A lab with a relay on port 443 of its middle, and agents on its hosts. All are the real programs. */
export class World implements AsyncDisposable {
  readonly directory: string
  readonly #lab: Lab | undefined
  readonly #here = new ThisMachine()
  readonly #agents = new Map<string, TestAgent>()
  readonly #servers: Server[] = []
  readonly #keys = new Map<string, KeyPair>()
  readonly #relayOptions: WorldOptions['relay']
  #relayAddress: string
  relay: LabProcess | undefined

  private constructor(lab: Lab | undefined, directory: string, options: WorldOptions) {
    this.#lab = lab
    this.directory = directory
    this.#relayOptions = options.relay
    this.#relayAddress = lab ? `${lab.relayHost.addresses.v4[0]}:443` : '127.0.0.1:0'
  }

  static async start(options: WorldOptions): Promise<World> {
    await ensureBuilt()
    const lab = options.lab === 'here' ? undefined : await startLab(options.lab)
    const directory = await mkdtemp(join(tmpdir(), 'culvert-'))
    const world = new World(lab, directory, options)
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

  get lab(): Lab {
    if (!this.#lab) throw new Error('this world has no lab')
    return this.#lab
  }

  get relayUrl(): string {
    return `http://${this.#relayAddress}`
  }

  agent(name: string): TestAgent {
    const agent = this.#agents.get(name)
    if (!agent) throw new Error(`no agent ${name} in this world`)
    return agent
  }

  idOf(name: string): PeerId {
    return this.keyOf(name).id
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

  /** Starts the relay, again on the same address after it was ended. */
  async startRelay(): Promise<LabProcess> {
    const file = join(this.directory, 'relay.json')
    const addresses = this.#lab?.relayHost.addresses.v4
    await writeFile(
      file,
      JSON.stringify({
        listen: addresses ? '0.0.0.0:443' : this.#relayAddress,
        stun: addresses ? { addresses, port: 3478 } : false,
        stateDir: join(this.directory, 'relay'),
        limits: { mbitPerPeer: 10_000 },
        log: { level: 'debug' },
        ...(this.#relayOptions === false ? {} : this.#relayOptions),
      }),
    )
    const host: Machine = this.#lab?.relayHost ?? this.#here
    this.relay = host.spawn(...culvertCommand('relay', '--config', file))
    const ready = await this.relay.waitForOutput(/relay ready .*?http=(\S+)/, { timeoutMs: START_MS })
    if (!this.#lab) this.#relayAddress = ready[1] ?? ''
    return this.relay
  }

  async startAgent(name: string, options: AgentOptions = {}): Promise<TestAgent> {
    const directory = join(this.directory, name)
    const stateDir = join(directory, 'state')
    const others = options.peers ?? [...this.#keys.keys()].filter(other => other !== name)
    const configPath = join(directory, 'agent.json')
    const socketPath = join(directory, 'agent.sock')
    await writeFile(
      configPath,
      JSON.stringify({
        name,
        stateDir,
        controlSocket: socketPath,
        relays: [{ url: this.relayUrl }],
        peers: Object.fromEntries(others.map(other => [other, { id: this.idOf(other), keep: options.keep ?? false }])),
        log: { level: 'debug' },
        ...(this.#lab ? {} : { nat: { portMapping: false }, lan: { discovery: false } }),
        ...options.config,
      }),
    )
    const host = this.#lab?.host(options.host ?? name) ?? this.#here
    const agent = new TestAgent({ name, host, configPath, socketPath, environment: options.environment ?? {} })
    this.#agents.set(name, agent)
    await agent.start()
    return agent
  }

  /** Starts agents that trust each other and offer `echo` each; resolves when all have their relay. */
  async startEchoes(names: readonly string[], config: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const services = { echo: { target: await this.serve('echo', echoService) } }
    for (const name of names) await this.prepare(name)
    const agents = await Promise.all(names.map(name => this.startAgent(name, { config: { ...config, services } })))
    await Promise.all(agents.map(agent => agent.waitForRelay()))
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
    await this.#here[Symbol.asyncDispose]()
    await this.#lab?.[Symbol.asyncDispose]()
    await rm(this.directory, { recursive: true, force: true })
  }
}

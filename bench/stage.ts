import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ControlClient, createControlClient } from '../agent/control/control-client.ts'
import type { PeerStatus } from '../agent/control/status.ts'
import { loadOrCreateIdentity } from '../agent/identity/identity.ts'
import { createLog } from '../common/platform/log.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import { type Lab, startLab } from '../test/lab/lab.ts'
import type { LabOptions } from '../test/lab/lab-options.ts'
import { type ExecResult, type LabProcess, ProcessTable, type SpawnOptions } from '../test/lab/lab-process.ts'

/** The built program. `CULVERT_BUNDLE` names another one, to compare two builds. */
export const bundle = () => process.env.CULVERT_BUNDLE ?? join(import.meta.dirname, '../dist/culvert.cjs')
const START_MS = 15_000
const QUIET = createLog({ level: 'error', style: 'words', write: () => undefined })

export const isRoot = process.getuid?.() === 0

/** The kind of path to wait for; `direct`: any but the relay. */
export type PathWish = 'tcp' | 'udp' | 'relay' | 'direct'

/** Where programs run: a host of the lab, or this machine itself. */
export interface Machine {
  /** Where others reach it. */
  readonly address: string
  spawn(command: string, args: readonly string[], options?: SpawnOptions): LabProcess
  exec(command: string, args: readonly string[]): Promise<ExecResult>
}

export interface AgentOptions {
  /** Names of agents that it trusts; by default all that are prepared. */
  readonly peers?: readonly string[]
  readonly config?: Readonly<Record<string, unknown>>
  /** The Node that runs it; by default the one that runs this. */
  readonly node?: string
  /** A packaged program to run in place of Node and bundle. */
  readonly packaged?: string
  readonly nodeOptions?: readonly string[]
}

/** The machines of one row, a relay and agents; everything ends with it. Without root all machines are this one. */
export class Stage implements AsyncDisposable {
  readonly lab: Lab | undefined
  readonly directory: string
  readonly #local = new ProcessTable()
  readonly #ids = new Map<string, PeerId>()
  readonly #given = new Set<number>()
  #relayPort = 443
  relay: LabProcess | undefined

  private constructor(lab: Lab | undefined, directory: string) {
    this.lab = lab
    this.directory = directory
  }

  /** A lab with these sites where we are root, else loopback. */
  static async start(sites: LabOptions['sites']): Promise<Stage> {
    if (!isRoot) return Stage.local()
    return new Stage(await startLab({ sites }), await mkdtemp(join(tmpdir(), 'culvert-bench-')))
  }

  /** Everything on this machine. */
  static async local(): Promise<Stage> {
    const stage = new Stage(undefined, await mkdtemp(join(tmpdir(), 'culvert-bench-')))
    stage.#relayPort = await freePort()
    return stage
  }

  machine(name: string): Machine {
    return this.#machine(name === 'relay' ? this.lab?.relayHost : this.lab?.host(name))
  }

  get relayMachine(): Machine {
    return this.machine('relay')
  }

  get relayUrl(): string {
    return `http://${this.relayMachine.address}:${this.#relayPort}`
  }

  async startRelay(
    options: Readonly<Record<string, unknown>> = {},
    nodeOptions: readonly string[] = [],
  ): Promise<LabProcess> {
    const file = join(this.directory, 'relay.json')
    const { address } = this.relayMachine
    const stun = this.lab ? { addresses: this.lab.relayHost.addresses.v4, port: 3478 } : false
    const own = { listen: `${address}:${this.#relayPort}`, stateDir: join(this.directory, 'relay'), stun }
    const limits = { mbitPerPeer: 1_000_000, gbPerPeerPerDay: 1_000_000 }
    await writeFile(file, JSON.stringify({ ...own, limits, ...options }))
    this.relay = this.relayMachine.spawn(process.execPath, [...nodeOptions, bundle(), 'relay', '--config', file])
    await this.relay.waitForOutput(/relay ready/, { timeoutMs: START_MS })
    return this.relay
  }

  /** Makes an agent's identity, so that others can trust it before it runs. */
  async prepare(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const stateDir = join(this.directory, name)
      await mkdir(stateDir, { recursive: true, mode: 0o700 })
      this.#ids.set(name, (await loadOrCreateIdentity(stateDir, { log: QUIET })).id)
    }
  }

  /** Starts an agent on the machine of the same name and waits until its relay has it. */
  async startAgent(name: string, options: AgentOptions = {}): Promise<BenchAgent> {
    const agent = await this.spawnAgent(name, options)
    await agent.process.waitForOutput(/agent ready/, { timeoutMs: START_MS })
    if (this.relay) await agent.process.waitForOutput(/relay connected/, { timeoutMs: START_MS })
    return agent
  }

  /** Starts an agent and waits for nothing. */
  async spawnAgent(name: string, options: AgentOptions = {}): Promise<BenchAgent> {
    const stateDir = join(this.directory, name)
    const config = join(this.directory, `${name}.json`)
    const socket = join(stateDir, 'control.sock')
    const peers = (options.peers ?? [...this.#ids.keys()]).filter(peer => peer !== name)
    await writeFile(
      config,
      JSON.stringify({
        name,
        stateDir,
        controlSocket: socket,
        relays: [{ url: this.relayUrl }],
        peers: Object.fromEntries(peers.map(peer => [peer, { id: this.#ids.get(peer) }])),
        ...(this.lab ? {} : { nat: { portMapping: false }, lan: { discovery: false } }),
        ...options.config,
      }),
    )
    const args = ['agent', '--config', config]
    const started = options.packaged
      ? this.machine(name).spawn(options.packaged, args)
      : this.machine(name).spawn(options.node ?? process.execPath, [...(options.nodeOptions ?? []), bundle(), ...args])
    return new BenchAgent(started, socket)
  }

  /** A port that is free on every machine of the stage, and given only once. */
  async freePort(): Promise<number> {
    for (;;) {
      const port = await freePort()
      if (this.#given.has(port)) continue
      this.#given.add(port)
      return port
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#local.stopAll()
    await this.lab?.[Symbol.asyncDispose]()
    await rm(this.directory, { recursive: true, force: true })
  }

  #machine(host: Lab['relayHost'] | ReturnType<Lab['host']> | undefined): Machine {
    if (!host) {
      return {
        address: '127.0.0.1',
        spawn: (command, args, options) => this.#local.start(command, args, options),
        exec: (command, args) => this.#local.start(command, args, { input: '' }).exited,
      }
    }
    const { v4 } = host.addresses
    return {
      address: (typeof v4 === 'string' ? v4 : v4?.[0]) ?? '127.0.0.1',
      spawn: (command, args, options) => host.spawn(command, args, options),
      exec: (command, args) => host.exec(command, args),
    }
  }
}

/** One real agent. */
export class BenchAgent {
  readonly process: LabProcess
  readonly client: ControlClient

  constructor(process: LabProcess, socket: string) {
    this.process = process
    this.client = createControlClient(socket)
  }

  get pid(): number {
    return this.process.pid
  }

  async peer(name: string): Promise<PeerStatus | undefined> {
    return (await this.client.status()).peers.find(peer => peer.name === name)
  }

  /** Waits until the session with a peer runs over a path of this kind. */
  async waitForPath(name: string, wish: PathWish, timeoutMs = 15_000): Promise<void> {
    const late = AbortSignal.timeout(timeoutMs)
    let last: PeerStatus | undefined
    for await (const { peers } of this.client.watchStatus(late)) {
      last = peers.find(peer => peer.name === name)
      const kind = last?.path?.kind
      if (kind !== undefined && (wish === 'direct' ? kind !== 'relay' : kind === wish)) return
    }
    throw new Error(`no ${wish} path to ${name} in ${timeoutMs} ms: ${JSON.stringify(last)}`)
  }
}

/** A port that nobody listens on now. */
function freePort(): Promise<number> {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

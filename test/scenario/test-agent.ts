import { readFile } from 'node:fs/promises'
import type { ControlClient } from '../../agent/control/control-client.ts'
import { createControlClient } from '../../agent/control/control-client.ts'
import type { AgentStatus, PeerStatus } from '../../agent/control/status.ts'
import type { ExecOptions } from '../lab/command.ts'
import type { ExecResult, ExitStatus, LabProcess } from '../lab/lab-process.ts'
import { culvertCommand } from './built-bundle.ts'
import type { Machine } from './machine.ts'

/** A guard, not a claim: a machine that is busy, or slow, takes its time. */
export const START_MS = 60_000
/** As much of the log as a failure shows. */
const LOG_LINES = 60

export interface TestAgentOptions {
  readonly name: string
  readonly host: Machine
  readonly configPath: string
  readonly socketPath: string
  readonly environment: Readonly<Record<string, string>>
}

/** One agent at work: the real program, watched through its control socket. */
export class TestAgent {
  readonly name: string
  readonly host: Machine
  readonly configPath: string
  readonly socketPath: string
  readonly client: ControlClient
  readonly #environment: Readonly<Record<string, string>>
  process: LabProcess | undefined

  constructor(options: TestAgentOptions) {
    this.name = options.name
    this.host = options.host
    this.configPath = options.configPath
    this.socketPath = options.socketPath
    this.#environment = options.environment
    this.client = createControlClient(options.socketPath)
  }

  async start(): Promise<void> {
    this.process = this.host.spawn(...culvertCommand('agent', '--config', this.configPath), { env: this.#environment })
    await this.process.waitForOutput(/agent ready/, { timeoutMs: START_MS })
  }

  /** Sends SIGTERM; tells how it ended, after how many milliseconds. */
  async stop(): Promise<ExitStatus & { readonly ms: number }> {
    if (!this.process) throw new Error(`${this.name} does not run`)
    const startedAt = performance.now()
    const status = await this.process.stop('SIGTERM', 10_000)
    return { ...status, ms: Math.round(performance.now() - startedAt) }
  }

  /** What the agent has logged so far. */
  get log(): string {
    return this.process?.stderr ?? ''
  }

  /** Lines of the log with this text. */
  logged(text: string): readonly string[] {
    return this.log.split('\n').filter(line => line.includes(text))
  }

  /** The ports it listens on, as its log says. */
  get ports(): { readonly tcp: number; readonly udp: number } {
    const [, tcp, udp] = /agent ready .*\btcp=(\d+) udp=(\d+)/.exec(this.log) ?? []
    if (tcp === undefined || udp === undefined) throw new Error(`${this.name} did not tell its ports`)
    return { tcp: Number(tcp), udp: Number(udp) }
  }

  /** Its largest resident set so far, in MB of 10^6 bytes. */
  async peakMemoryMb(): Promise<number> {
    const status = await readFile(`/proc/${this.process?.pid}/status`, 'utf8')
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
    if (kib === undefined) throw new Error(`${this.name} has no resident set`)
    return (Number(kib) * 1024) / 1e6
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
    return this.run(args, {})
  }

  run(args: readonly string[], options: ExecOptions): Promise<ExecResult> {
    return this.host.exec(...culvertCommand(...args), {
      ...options,
      env: { CULVERT_SOCKET: this.socketPath, CULVERT_CONFIG: this.configPath, ...options.env },
    })
  }

  /** Waits for a status that satisfies; rejects with the last one seen and the end of the log. */
  async waitFor(what: string, satisfied: (status: AgentStatus) => boolean, timeoutMs = 60_000): Promise<AgentStatus> {
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
    const log = this.log.split('\n').slice(-LOG_LINES).join('\n')
    throw new Error(`${this.name} did not see ${what} in ${timeoutMs} ms: ${JSON.stringify(last)}\n${log}`)
  }

  /** Waits for a peer that satisfies, and gives it as it was then: a stream that lasts may try another path later. */
  async waitForPeer(
    name: string,
    what: string,
    satisfied: (peer: PeerStatus) => boolean,
    timeoutMs?: number,
  ): Promise<PeerStatus> {
    const wanted = (peer: PeerStatus) => peer.name === name && satisfied(peer)
    const { peers } = await this.waitFor(`${name} ${what}`, status => status.peers.some(wanted), timeoutMs)
    const found = peers.find(wanted)
    if (!found) throw new Error(`${name} is gone`)
    return found
  }

  /** Waits until it knows what stands before it. */
  waitForNat(): Promise<AgentStatus> {
    return this.waitFor('its NAT', ({ nat }) => nat.tcp.mapping !== 'unknown' && nat.udp.filtering !== 'unknown')
  }

  /** Waits until a relay is connected. */
  waitForRelay(timeoutMs?: number): Promise<AgentStatus> {
    return this.waitFor('the relay', ({ relays }) => relays.some(({ state }) => state === 'connected'), timeoutMs)
  }
}

export function isDirect({ path }: PeerStatus): boolean {
  return path !== null && path.kind !== 'relay'
}

export function isRelayed({ path }: PeerStatus): boolean {
  return path?.kind === 'relay'
}

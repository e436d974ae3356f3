import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { AgentStatus } from '../../agent/control/status.ts'
import type { SiteOptions } from '../lab/lab-options.ts'
import type { TestAgent } from './test-agent.ts'
import { echoService, RunningTransfer } from './transfer.ts'
import { World } from './world.ts'

const LINE = { rateMbit: 5 } as const
const SITES: Readonly<Record<string, SiteOptions>> = {
  ann: { kind: 'eim-apdf', ...LINE },
  ben: { kind: 'edm', ...LINE },
  cat: { kind: 'eim-eif', upnp: true, ...LINE },
  dan: { kind: 'none', ...LINE },
  eve: { kind: 'carrier', ...LINE },
  fay: { kind: 'udp-blocked', ...LINE },
}
const NAMES = Object.keys(SITES)
const STREAMS = 50
const IN_FLIGHT_BYTES = 32 * 1024
/** Every so often a stream ends, its bytes are compared, and another one begins. */
const STREAM_MS = 20_000
const FLOW_MS = 60_000
/** Nothing befalls anybody in the last seconds of a round, or its streams would end late. */
const CALM_MS = 8_000
/** A session outlives its last path by two minutes, and its streams with it. */
const IDLE_MS = 150_000
const MEMORY_PROBE = join(import.meta.dirname, 'memory-probe.cjs')

/** A random number from [0, 1), the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What an agent holds while no stream is open and nothing befalls it, in MB. */
export interface AtRest {
  readonly atMs: number
  /** JavaScript objects that a full collection leaves, and the buffers outside of the heap. */
  readonly live: number
  /** Functions that V8 compiled. */
  readonly compiled: number
  readonly resident: number
  readonly files: number
}

export interface ChurnReport {
  /** What went wrong with streams; empty when nothing did. */
  readonly faults: readonly string[]
  readonly streams: number
  readonly bytes: number
  readonly disturbances: number
  /** By agent, one after each round. */
  readonly rests: ReadonlyMap<string, readonly AtRest[]>
  /** Lines of the agents' logs that no agent should write. */
  readonly alarms: readonly string[]
}

type Strike = (world: World, site: string, random: () => number) => Promise<void>

const STRIKES: readonly Strike[] = [
  async (world, site, random) => {
    await world.lab.site(site).cut()
    await wait(1_000 + random() * 7_000)
    await world.lab.site(site).restore()
  },
  (world, site) => world.lab.site(site).newAddress(),
  (world, site) => world.lab.site(site).rebind(),
  (world, site) => world.lab.site(site).reboot({ downMs: 1_000 }),
  async (world, site) => {
    await world.lab.site(site).blockUdp()
    await wait(5_000)
    await world.lab.site(site).unblockUdp()
  },
  async (world, site) => {
    await world.lab.site(site).blockTcp()
    await wait(5_000)
    await world.lab.site(site).unblockTcp()
  },
  async (world, site) => {
    await world.lab.site(site).fillTable()
    await wait(3_000)
    await world.lab.site(site).freeTable()
  },
  async world => {
    await world.lab.relayHost.cut()
    await wait(3_000)
    await world.lab.relayHost.restore()
  },
  async world => {
    await world.relay?.stop('SIGKILL')
    await world.startRelay()
  },
]

/**
 * Six agents with fifty streams between them, and something that befalls one of them every few seconds; after each round
 * all streams end, and the agents are weighed.
 */
export async function churn(rounds: number, roundMs: number, seed: number): Promise<ChurnReport> {
  const random = seeded(seed)
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T
  // Quotas are not what is looked at: where many sites are away, every agent calls all others again and again.
  const relay = { limits: { mbitPerPeer: 10_000, pipesPerPeer: 128 } }
  await using world = await World.start({ lab: { sites: SITES }, agents: {}, relay })
  const target = await world.serve('echo', echoService)
  for (const name of NAMES) await world.prepare(name)
  const environment = { NODE_OPTIONS: `--require=${MEMORY_PROBE}` }
  const agents = await Promise.all(
    NAMES.map(name => world.startAgent(name, { config: { services: { echo: { target } } }, environment })),
  )
  await Promise.all(agents.map(agent => agent.waitForRelay()))

  const faults: string[] = []
  let streams = 0
  let bytes = 0
  let disturbances = 0
  let endsAt = 0
  const oneStream = async (from: TestAgent, to: string, lifeMs: number) => {
    const { socket } = await from.client.connect(to, 'echo')
    const transfer = new RunningTransfer(socket, IN_FLIGHT_BYTES)
    await Promise.race([wait(lifeMs), transfer.broken])
    const { sent, received } = await transfer.finish()
    if (sent !== received) faults.push(`${from.name} to ${to}: the bytes came back changed`)
    streams++
    bytes += transfer.bytes
  }
  const lane = async () => {
    while (performance.now() < endsAt) {
      const from = pick(agents)
      const to = pick(NAMES.filter(name => name !== from.name))
      const lifeMs = Math.min(STREAM_MS * (0.5 + random()), endsAt - performance.now())
      try {
        await withinFlow(oneStream(from, to, lifeMs), `${from.name} to ${to}`)
      } catch (thrown) {
        const text = String(thrown)
        // A stream that cannot be opened while its site is away is told so; one that is open must live.
        if (!/no path|not connected|unreachable|timed-out|no answer|offline/.test(text))
          faults.push(`${from.name} to ${to}: ${text}`)
        await wait(500)
      }
    }
  }
  const trouble = async () => {
    while (performance.now() < endsAt - CALM_MS) {
      await pick(STRIKES)(world, pick(NAMES), random)
      disturbances++
      await wait(1_000 + random() * 4_000)
    }
  }
  const startedAt = performance.now()
  const rests = new Map<string, AtRest[]>(NAMES.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    endsAt = performance.now() + roundMs
    await Promise.all([...Array.from({ length: STREAMS }, lane), trouble()])
    await Promise.all(agents.map(agent => agent.waitFor('no stream', idle, IDLE_MS)))
    for (const agent of agents) rests.get(agent.name)?.push(await weigh(agent, round, startedAt))
  }
  const alarms = agents.flatMap(({ name, log }) =>
    log
      .split('\n')
      .filter(line => /unhandled|uncaught|internal error|internal fault|MaxListeners/i.test(line))
      .map(line => `${name}: ${line}`),
  )
  return { faults, streams, bytes, disturbances, rests, alarms }
}

const idle = ({ peers }: AgentStatus) => peers.every(({ streams }) => streams === 0)

/** The agent after a full collection, in the given round. */
async function weigh({ process: agent }: TestAgent, round: number, startedAt: number): Promise<AtRest> {
  if (!agent) throw new Error('an agent that does not run weighs nothing')
  agent.child.kill('SIGUSR2')
  const told = await agent.waitForOutput(new RegExp(`^memory ${round + 1} (\\S+)$`, 'm'), { timeoutMs: IDLE_MS })
  const { objects, buffers, compiled } = JSON.parse(told[1] ?? '{}')
  const status = await readFile(`/proc/${agent.pid}/status`, 'utf8')
  return {
    atMs: performance.now() - startedAt,
    live: (objects + buffers) / 1e6,
    compiled: compiled / 1e6,
    resident: (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6,
    files: (await readdir(`/proc/${agent.pid}/fd`)).length,
  }
}

async function withinFlow(work: Promise<void>, what: string): Promise<void> {
  const done = new AbortController()
  const stuck = wait(FLOW_MS + STREAM_MS * 1.5, undefined, { signal: done.signal }).then(() => {
    throw new Error(`${what}: stuck`)
  })
  try {
    await Promise.race([work, stuck])
  } finally {
    done.abort()
  }
}

/** MB an hour, of a straight line through the values. */
export function slopeMbPerHour(rests: readonly AtRest[], value: (rest: AtRest) => number): number {
  const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length
  const hours = rests.map(({ atMs }) => atMs / 3_600_000)
  const [x, y] = [mean(hours), mean(rests.map(value))]
  const top = rests.reduce((sum, rest, n) => sum + ((hours[n] ?? 0) - x) * (value(rest) - y), 0)
  return top / hours.reduce((sum, hour) => sum + (hour - x) ** 2, 0)
}

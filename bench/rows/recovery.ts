import { fieldsOf, nothing, Program } from '../program.ts'
import { monotonicMs, type PaceReport } from '../programs/paced-stream.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { pause } from '../traffic.ts'

const ROUNDS = 3
const EVERY_MS = 10
const CUT_MS = 5_000
/** What a path needs to settle between two disturbances. */
const CALM_MS = 4_000

/** Sites between which each kind of path is the best: a hard NAT leaves UDP where the other side lets anybody in. */
const SITES = { tcp: ['none', 'none'], udp: ['edm', 'eim-eif'], relay: ['edm', 'edm'] } as const
type PathKind = keyof typeof SITES
const KINDS = ['tcp', 'udp', 'relay'] as const

/** Streams that live through a dead line of 5 s and a restart of the relay: when they flow again, and what is lost. */
export const recovery: Row = { name: 'recovery', needsRoot: true, seconds: 75, run }

interface Lane {
  readonly kind: PathKind
  readonly near: Program
}

async function run(): Promise<readonly Measured[]> {
  const sites = KINDS.flatMap(kind => [
    [`${kind}-near`, SITES[kind][0]] as const,
    [`${kind}-far`, SITES[kind][1]] as const,
  ])
  await using stage = await Stage.start(Object.fromEntries(sites))
  await stage.startRelay()
  await stage.prepare(...sites.map(([name]) => name))
  const lanes = await Promise.all(KINDS.map(kind => startLane(stage, kind)))
  await pause(1_000)

  const afterCut: Record<PathKind, number[]> = { tcp: [], udp: [], relay: [] }
  const afterRestart: number[] = []
  const gaps: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const nearSites = KINDS.map(kind => stage.lab?.site(`${kind}-near`))
    await Promise.all(nearSites.map(site => site?.cut()))
    await pause(CUT_MS)
    await Promise.all(nearSites.map(site => site?.restore()))
    const restoredAt = monotonicMs()
    for (const { kind, near } of lanes) afterCut[kind].push(((await firstAfter(near, restoredAt)) - restoredAt) / 1000)
    await pause(CALM_MS)
  }
  for (let round = 0; round < ROUNDS; round++) {
    const stoppedAt = monotonicMs()
    await stage.relay?.stop()
    await stage.startRelay()
    const readyAt = monotonicMs()
    for (const { kind, near } of lanes) {
      if (kind === 'relay') afterRestart.push(((await firstAfter(near, readyAt)) - readyAt) / 1000)
    }
    await pause(CALM_MS)
    for (const { kind, near } of lanes) {
      if (kind !== 'relay') gaps.push((await look(near, stoppedAt)).longestGap)
    }
  }
  const reports = await Promise.all(lanes.map(({ near }) => near.ask('finish', {}, reportOf)))
  const lost = reports.map(({ sent, received, misplaced }) => (sent - received + misplaced) * 8)
  const budget = { of: 'value', atMost: 3 } as const
  return [
    ...KINDS.map(kind =>
      measured({ measure: `${kind} path, after 5 s without a line`, unit: 's', values: afterCut[kind], budget }),
    ),
    measured({ measure: 'relay path, after a restart of the relay', unit: 's', values: afterRestart, budget }),
    measured({ measure: 'direct paths during a restart of the relay: longest silence', unit: 'ms', values: gaps }),
    measured({
      measure: 'lost or doubled in all',
      unit: 'bytes',
      values: [lost.reduce((sum, one) => sum + one, 0)],
      budget: { of: 'value', atMost: 0 },
    }),
  ]
}

async function startLane(stage: Stage, kind: PathKind): Promise<Lane> {
  const [nearName, farName] = [`${kind}-near`, `${kind}-far`]
  const [forwardPort, servicePort] = [await stage.freePort(), await stage.freePort()]
  const [near, far] = await Promise.all([
    Program.start(stage.machine(nearName), 'traffic-end'),
    Program.start(stage.machine(farName), 'traffic-end'),
  ])
  await far.ask('listen', { host: '127.0.0.1', port: servicePort }, nothing)
  const target = `tcp://127.0.0.1:${servicePort}`
  const [agent] = await Promise.all([
    stage.startAgent(nearName, {
      peers: [farName],
      config: { forwards: [{ listen: `tcp://127.0.0.1:${forwardPort}`, to: `${farName}/traffic` }] },
    }),
    stage.startAgent(farName, { peers: [nearName], config: { services: { traffic: { target } } } }),
  ])
  await near.ask('pace', { host: '127.0.0.1', port: forwardPort, everyMs: EVERY_MS }, nothing)
  await agent.waitForPath(farName, kind)
  return { kind, near }
}

/** When the first byte came back at or after this moment; after 30 s without one, infinity. */
async function firstAfter(near: Program, since: number): Promise<number> {
  while (monotonicMs() < since + 30_000) {
    const { first } = await look(near, since)
    if (first !== null) return first
    await pause(50)
  }
  return Number.POSITIVE_INFINITY
}

function look(near: Program, since: number) {
  return near.ask('look', { since }, answer => {
    const { first, longestGap } = fieldsOf(answer)
    return { first: first === null ? null : Number(first), longestGap: Number(longestGap) }
  })
}

function reportOf(answer: unknown): PaceReport {
  const { sent, received, misplaced } = fieldsOf(answer)
  return { sent: Number(sent), received: Number(received), misplaced: Number(misplaced) }
}

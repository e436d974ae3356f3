import type { SiteOptions } from '../test/lab/lab-options.ts'
import type { SiteKind } from '../test/lab/site-kind.ts'
import { type Ends, through } from './ends.ts'
import { nothing, Program } from './program.ts'
import { type AgentOptions, type BenchAgent, type PathWish, Stage } from './stage.ts'
import type { Carrier } from './traffic.ts'

interface JoinOptions {
  readonly path: PathWish
  readonly near?: AgentOptions
  readonly far?: AgentOptions
}

export interface PairOptions extends JoinOptions {
  readonly site: SiteKind | SiteOptions
  /** Where the far agent stands, if not at a site of the same kind. */
  readonly farSite?: SiteKind | SiteOptions
}

/** Two agents with a path between them; `near` forwards a port to the service behind `far`, which is a traffic end. */
export interface JoinedPair extends Ends {
  readonly agents: { readonly near: BenchAgent; readonly far: BenchAgent }
  /** On `near`'s machine, leads to the service. */
  readonly forwardPort: number
  /** Starts the near agent again after it was stopped; `agents.near` stays the first one. */
  startNear(): Promise<BenchAgent>
}

export interface Pair extends JoinedPair, AsyncDisposable {}

/** A pair on a stage of its own, with a relay. */
export async function startPair(options: PairOptions): Promise<Pair> {
  const stage = await Stage.start({ near: options.site, far: options.farSite ?? options.site })
  try {
    await stage.startRelay()
    const pair = await joinPair(stage, ['near', 'far'], options)
    return { ...pair, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() }
  } catch (thrown) {
    await stage[Symbol.asyncDispose]()
    throw thrown
  }
}

/** A pair on two machines of a stage whose relay runs. */
export async function joinPair(
  stage: Stage,
  [nearName, farName]: readonly [string, string],
  options: JoinOptions,
): Promise<JoinedPair> {
  await stage.prepare(nearName, farName)
  const ends = await startEnds(stage, nearName, farName)
  const forwardPort = await stage.freePort()
  const startNear = () =>
    stage.startAgent(nearName, {
      peers: [farName],
      ...options.near,
      config: { forwards: [{ listen: `tcp://127.0.0.1:${forwardPort}`, to: `${farName}/traffic` }] },
    })
  const [nearAgent, farAgent] = await Promise.all([
    startNear(),
    stage.startAgent(farName, {
      peers: [nearName],
      ...options.far,
      config: { services: { traffic: { target: `tcp://127.0.0.1:${ends.servicePort}` } } },
    }),
  ])
  await ends.near.ask('open', { host: '127.0.0.1', port: forwardPort, count: 1 }, nothing)
  await nearAgent.waitForPath(farName, options.path)
  return { ...ends, agents: { near: nearAgent, far: farAgent }, forwardPort, startNear }
}

/** A traffic end on each of two machines, the far one with a service. */
export async function startEnds(stage: Stage, nearName: string, farName: string): Promise<Ends> {
  const servicePort = await stage.freePort()
  const [near, far] = await Promise.all([
    Program.start(stage.machine(nearName), 'traffic-end'),
    Program.start(stage.machine(farName), 'traffic-end'),
  ])
  await far.ask('listen', { host: '0.0.0.0', port: servicePort }, nothing)
  return { stage, near, far, servicePort }
}

export function carrierOf(pair: JoinedPair): Carrier {
  return through(pair, { host: '127.0.0.1', port: pair.forwardPort }, [pair.agents.near.pid, pair.agents.far.pid])
}

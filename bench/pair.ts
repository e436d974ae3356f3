import type { SiteOptions } from '../test/lab/lab-options.ts'
import type { SiteKind } from '../test/lab/site-kind.ts'
import { nothing, Program } from './program.ts'
import { type AgentOptions, type BenchAgent, Stage } from './stage.ts'

export interface PairOptions {
  readonly site: SiteKind | SiteOptions
  /** Where the far agent stands, if not at a site of the same kind. */
  readonly farSite?: SiteKind | SiteOptions
  readonly path: 'tcp' | 'udp' | 'relay'
  readonly near?: AgentOptions
  readonly far?: AgentOptions
}

/** Two agents with a path between them; `near` forwards a port to the service behind `far`, which is a traffic end. */
export interface Pair extends AsyncDisposable {
  readonly stage: Stage
  readonly agents: { readonly near: BenchAgent; readonly far: BenchAgent }
  readonly near: Program
  readonly far: Program
  /** On `near`'s machine, leads to the service. */
  readonly forwardPort: number
  /** On `far`'s machine, every address. */
  readonly servicePort: number
}

export async function startPair(options: PairOptions): Promise<Pair> {
  const stage = await Stage.start({ near: options.site, far: options.farSite ?? options.site })
  try {
    return await onStage(stage, options)
  } catch (thrown) {
    await stage[Symbol.asyncDispose]()
    throw thrown
  }
}

async function onStage(stage: Stage, { path, near: nearOptions, far: farOptions }: PairOptions): Promise<Pair> {
  const [forwardPort, servicePort] = [await stage.freePort(), await stage.freePort()]
  await stage.prepare('near', 'far')
  const [near, far] = await Promise.all([
    Program.start(stage.machine('near'), 'traffic-end'),
    Program.start(stage.machine('far'), 'traffic-end'),
    stage.startRelay(),
  ])
  await far.ask('listen', { host: '0.0.0.0', port: servicePort }, nothing)
  const [nearAgent, farAgent] = await Promise.all([
    stage.startAgent('near', {
      ...nearOptions,
      config: { forwards: [{ listen: `tcp://127.0.0.1:${forwardPort}`, to: 'far/traffic' }] },
    }),
    stage.startAgent('far', {
      ...farOptions,
      config: { services: { traffic: { target: `tcp://127.0.0.1:${servicePort}` } } },
    }),
  ])
  await near.ask('open', { host: '127.0.0.1', port: forwardPort, count: 1 }, nothing)
  await nearAgent.waitForPath('far', path)
  return {
    stage,
    agents: { near: nearAgent, far: farAgent },
    near,
    far,
    forwardPort,
    servicePort,
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  }
}

import { nothing, Program } from '../program.ts'
import { monotonicMs } from '../programs/paced-stream.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { pause } from '../traffic.ts'

const RUNS = 7
const SITE = { kind: 'eim-apdf', delayMs: 10 } as const

/** From the start of an agent behind one home router to a service's first byte from behind another one. */
export const firstByte: Row = { name: 'first-byte', needsRoot: true, seconds: 30, run }

async function run(): Promise<readonly Measured[]> {
  await using stage = await Stage.start({ near: SITE, far: SITE })
  const [forwardPort, servicePort] = [await stage.freePort(), await stage.freePort()]
  await stage.prepare('near', 'far')
  const [near, far] = await Promise.all([
    Program.start(stage.machine('near'), 'traffic-end'),
    Program.start(stage.machine('far'), 'traffic-end'),
    stage.startRelay(),
  ])
  await far.ask('listen', { host: '127.0.0.1', port: servicePort }, nothing)
  const target = `tcp://127.0.0.1:${servicePort}`
  await stage.startAgent('far', { config: { services: { traffic: { target } } } })
  // It has learnt what NAT it is behind, as an agent that runs for long has.
  await pause(3_000)

  const seconds: number[] = []
  let direct = 0
  for (let i = 0; i < RUNS; i++) {
    const startedAt = monotonicMs()
    const [agent, at] = await Promise.all([
      stage.spawnAgent('near', {
        config: { forwards: [{ listen: `tcp://127.0.0.1:${forwardPort}`, to: 'far/traffic' }] },
      }),
      near.ask('first', { host: '127.0.0.1', port: forwardPort, limitMs: 15_000 }, Number),
    ])
    const peer = await agent.peer('far')
    if (peer?.path?.kind === 'udp' || peer?.path?.kind === 'tcp') direct++
    seconds.push((at - startedAt) / 1000)
    await agent.process.stop()
    await pause(500)
  }
  return [
    measured({
      measure: 'start to first byte, EIM NATs, 40 ms',
      unit: 's',
      values: seconds,
      budget: { of: 'value', atMost: 1.5 },
    }),
    measured({
      measure: `of these over a direct path (of ${RUNS})`,
      unit: 'runs',
      values: [direct],
      budget: { of: 'value', atLeast: RUNS },
    }),
  ]
}

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireProgram } from '../carriers/required-program.ts'
import { optional } from '../optional.ts'
import { startEnds } from '../pair.ts'
import { nothing, Program } from '../program.ts'
import { type Measured, measured, type NotMeasured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { takeTurns } from '../statistics.ts'
import { type Carrier, measureRate, type Rate } from '../traffic.ts'

const ROUNDS = 5
const PROGRAMS = `${import.meta.dirname}/../programs`

/** What it costs a relay to forward plain bytes, against Node's own pipe and haproxy. */
export const relayCpu: Row = { name: 'relay-cpu', needsRoot: false, seconds: 45, run }

async function run(): Promise<readonly (Measured | NotMeasured)[]> {
  await using stage = await Stage.start({ near: 'none', far: 'none' })
  const relay = await stage.startRelay()
  const { near, far, servicePort } = await startEnds(stage, 'near', 'far')
  const culvert = await pipe(stage, relay.pid)
  const bare = await pipeRelay(stage, near, far, servicePort)
  const { value: haproxy, missing } = await optional('haproxy', () => startHaproxy(stage, near, far, servicePort))
  const rates: Readonly<Record<string, readonly Rate[]>> = await takeTurns<string, Rate>(ROUNDS, {
    culvert: () => measureRate(culvert, 'up', 1),
    pipe: () => measureRate(bare, 'up', 1),
    ...(haproxy ? { haproxy: () => measureRate(haproxy, 'up', 1) } : {}),
  })
  const cost = (name: string) => (rates[name] ?? []).map(rate => rate.cpuPerGb)
  const speed = (name: string) => (rates[name] ?? []).map(rate => rate.mbps)
  const values = cost('culvert')
  return [
    measured({
      measure: 'CPU of the relay',
      unit: 'CPU s/GB',
      values,
      baseline: { name: 'socket.pipe', values: cost('pipe') },
      budget: { of: 'ratio', atMost: 0.65 },
    }),
    ...(haproxy
      ? [
          measured({
            measure: 'CPU of the relay',
            unit: 'CPU s/GB',
            values,
            baseline: { name: 'haproxy', values: cost('haproxy') },
            budget: { of: 'ratio', atMost: 1 },
          }),
          measured({
            measure: 'rate of one pipe',
            unit: 'Mbit/s',
            values: speed('culvert'),
            baseline: { name: 'haproxy', values: speed('haproxy') },
          }),
        ]
      : missing),
  ]
}

async function pipe(stage: Stage, pid: number): Promise<Carrier> {
  const [near, far] = await Promise.all([
    Program.start(stage.machine('near'), 'pipe-end', [stage.relayUrl]),
    Program.start(stage.machine('far'), 'pipe-end', [stage.relayUrl]),
  ])
  await near.ask('id', {}, nothing)
  return { near, far, start: { peer: await far.ask('id', {}, String) }, pids: [pid] }
}

async function pipeRelay(stage: Stage, near: Program, far: Program, service: number): Promise<Carrier> {
  const port = await stage.freePort()
  const args = [`${PROGRAMS}/pipe-relay.ts`, String(port), far.machine.address, String(service)]
  const relay = stage.relayMachine.spawn(process.execPath, args)
  await relay.waitForOutput(/ready/)
  return { near, far, start: { host: stage.relayMachine.address, port }, pids: [relay.pid] }
}

async function startHaproxy(stage: Stage, near: Program, far: Program, service: number): Promise<Carrier> {
  requireProgram('haproxy', 'haproxy')
  const port = await stage.freePort()
  const file = join(stage.directory, 'haproxy.cfg')
  await writeFile(
    file,
    `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen bench
  bind :${port}
  server far ${far.machine.address}:${service}
`,
  )
  const relay = stage.relayMachine.spawn('haproxy', ['-db', '-V', '-f', file])
  await near.ask('first', { host: stage.relayMachine.address, port, limitMs: 5_000 }, nothing)
  return { near, far, start: { host: stage.relayMachine.address, port }, pids: [relay.pid] }
}

import { startBareTls } from '../carriers/bare-tls.ts'
import { type HyperdhtNetwork, startHyperdhtNetwork } from '../carriers/hyperdht.ts'
import { optional } from '../optional.ts'
import { type JoinedPair, startEnds } from '../pair.ts'
import { joinAt, type PlaceName, pathAt, siteNames, sitesOf } from '../places.ts'
import { numbersOf, type Program } from '../program.ts'
import { monotonicMs } from '../programs/paced-stream.ts'
import { type Measured, measured, type NotMeasured, type Unit } from '../result.ts'
import type { Row } from '../row.ts'
import { type Machine, Stage } from '../stage.ts'
import { pause } from '../traffic.ts'

const ROUNDS = 5
const PLACES = ['public', 'tcp', 'udp', 'datachannel', 'relay'] as const satisfies readonly PlaceName[]
const WORDS = {
  public: 'path to a public address',
  tcp: 'tcp path through two NATs',
  udp: 'udp path through two NATs',
  datachannel: 'data channel through two NATs',
  relay: 'relay path',
} as const satisfies Readonly<Record<(typeof PLACES)[number], string>>
const LINE = { delayMs: 10, lossPct: 0 } as const
/** An agent that just started learns what NAT it is behind. */
const LEARN_MS = 2_500

/** From the first connection to a peer, with no session to it yet, to its first byte back and to each kind of path. */
export const connect: Row = { name: 'connect', needsRoot: true, seconds: 75, run }

interface Times {
  readonly firstByte: number[]
  readonly path: number[]
}

async function run(): Promise<readonly (Measured | NotMeasured)[]> {
  const open = { ...LINE, kind: 'none' } as const
  await using stage = await Stage.start({ ...sitesOf(PLACES, LINE), left: open, right: open })
  await stage.startRelay()
  const pairs = await Promise.all(PLACES.map(async place => [place, await joinAt(stage, place)] as const))
  const ends = await startEnds(stage, 'left', 'right')
  const tls = await startBareTls(ends)
  const { value: network, missing } = await optional('hyperdht', () => startHyperdhtNetwork(stage, ends.far.machine))

  let agents = pairs.map(([, pair]) => pair.agents.near)
  const times = new Map<string, Times>(PLACES.map(place => [place, { firstByte: [], path: [] }]))
  const others = { tls: [] as number[], hyperdht: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(agents.map(({ process }) => process.stop()))
    agents = await Promise.all(pairs.map(([, pair]) => pair.startNear()))
    await pause(LEARN_MS)
    for (const [i, [place, pair]] of pairs.entries()) {
      const startedAt = monotonicMs()
      const [firstByte, path] = await Promise.all([
        firstByteAt(pair),
        agents[i]?.waitForPath(siteNames(place)[1], pathAt(place)).then(monotonicMs),
      ])
      times.get(place)?.firstByte.push(firstByte - startedAt)
      times.get(place)?.path.push((path ?? Number.NaN) - startedAt)
    }
    others.tls.push(...(await ends.near.ask('open', { ...tls.start, count: 1 }, numbersOf)))
    if (network) others.hyperdht.push(await freshHyperdht(network, ends.near.machine))
  }
  const one = (measure: string, values: readonly number[], unit: Unit = 'ms') => measured({ measure, unit, values })
  return [
    ...PLACES.flatMap(place => [
      one(`${WORDS[place]}: first byte back`, times.get(place)?.firstByte ?? []),
      ...(place === 'relay' ? [] : [one(`${WORDS[place]}: until it is used`, times.get(place)?.path ?? [])]),
    ]),
    one('bare Node TLS to a public address: first byte back', others.tls),
    ...(network ? [one('hyperdht between public addresses: stream open', others.hyperdht)] : missing),
  ]
}

function firstByteAt({ near, forwardPort }: JoinedPair): Promise<number> {
  return near.ask('first', { host: '127.0.0.1', port: forwardPort, limitMs: 15_000 }, answer =>
    answer === null ? Number.POSITIVE_INFINITY : Number(answer),
  )
}

/** A node that has joined the network and never talked to the other one. */
async function freshHyperdht(network: HyperdhtNetwork, machine: Machine): Promise<number> {
  const node: Program = await network.join(machine)
  const ms = await node.ask('open', { key: network.key }, Number)
  await node.process.stop()
  return ms
}

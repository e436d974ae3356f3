import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Machine } from '../../bench/stage.ts'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { bareUdxMs } from './bare-udx.ts'
import { ROOT } from './built-bundle.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

/**
 * With CULVERT_FULL (any number) more is sent, three times, both ways, also over what the agents are made of, and the budget
 * must hold; else little, once, and it must arrive.
 */
const FULL = process.env.CULVERT_FULL !== undefined
const REPEATS = FULL ? 3 : 1
const GROW = FULL ? 8 : 1
/** Of the best that this line gives. */
const BUDGET = 0.8
const TLS_PORT = 9_443
const MIB = 1024 * 1024

interface Line {
  readonly rateMbit: number
  readonly rttMs: number
  /** One way, in all. */
  readonly lossPct: number
  readonly bytes: number
}

/** From a good home line to a bad mobile one, and a satellite. */
const LINES: Readonly<Record<string, Line>> = {
  fibre: { rateMbit: 100, rttMs: 16, lossPct: 0.1, bytes: 4 * MIB },
  cable: { rateMbit: 25, rttMs: 40, lossPct: 1, bytes: 2 * MIB },
  dsl: { rateMbit: 8, rttMs: 90, lossPct: 2, bytes: MIB },
  mobile: { rateMbit: 3, rttMs: 200, lossPct: 3, bytes: MIB / 2 },
  edge: { rateMbit: 1.5, rttMs: 300, lossPct: 5, bytes: MIB / 4 },
  worst: { rateMbit: 0.8, rttMs: 450, lossPct: 8, bytes: MIB / 8 },
  satellite: { rateMbit: 25, rttMs: 600, lossPct: 1.5, bytes: MIB },
}

type Direction = 'down' | 'up'

/** Mbit/s of culvert, and of what it is made of. */
interface Run {
  readonly culvert: number
  readonly tcp: number
  readonly udx: number
}

/** Half of the delay and of the loss on either site's line. */
function siteOf({ rateMbit, rttMs, lossPct }: Line): SiteOptions {
  return { kind: 'none', rateMbit, delayMs: rttMs / 4, lossPct: lossPct / 2 }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Sends what it has to one who asks for it; tells who sends the same the SHA-256 of what came. */
function trade(socket: Socket, content: Buffer): void {
  let hash: ReturnType<typeof createHash> | undefined
  let missing = content.length
  socket.on('data', (chunk: Buffer) => {
    const bytes = hash ? chunk : chunk.subarray(2)
    if (!hash && chunk.toString('latin1', 0, 2) === 'go') socket.end(content)
    hash ??= createHash('sha256')
    hash.update(bytes)
    missing -= bytes.length
    if (missing === 0) socket.end(hash.digest('hex'))
  })
}

/** The SHA-256 of what came at the other end, and how long that took from the first word. */
async function carry(stream: Duplex, direction: Direction, content: Buffer) {
  const startedAt = performance.now()
  stream.write(direction === 'up' ? Buffer.concat([Buffer.from('up'), content]) : 'go')
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  const ms = performance.now() - startedAt
  const got = Buffer.concat(chunks)
  return { sha256: direction === 'up' ? got.toString() : sha256(got), ms }
}

function machineOf({ host }: TestAgent, address: string): Machine {
  return {
    address,
    spawn: (command, args, options) => host.spawn(command, args, options),
    exec: (command, args) => host.exec(command, args),
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN
}

rootTest(
  'on lines from good to dreadful transfers complete, about as fast as the line lets TLS over TCP or UDX be',
  async t => {
    t.timeout(FULL ? 1_800_000 : 600_000)
    const lines = Object.entries(LINES)
    const sites = Object.fromEntries(
      lines.flatMap(([name, line]) => [
        [`${name}-a`, siteOf(line)],
        [`${name}-b`, siteOf(line)],
      ]),
    )
    await using world = await World.start({ lab: { sites }, agents: {} })
    for (const name of Object.keys(sites)) await world.prepare(name)
    const measure = async (name: string, line: Line) => {
      const [a, b] = [`${name}-a`, `${name}-b`]
      const content = randomBytes(line.bytes * GROW)
      const bytes = content.length
      const target = await world.serve(name, socket => trade(socket, content))
      const [near, far] = await Promise.all([
        world.startAgent(a, { peers: [b], keep: true }),
        world.startAgent(b, { peers: [a], config: { services: { trade: { target } } } }),
      ])
      await Promise.all([near.waitForRelay(), far.waitForRelay()])
      await near.waitForPeer(b, 'direct', ({ path }) => path !== null && path.kind !== 'relay')
      const addressOf = (site: string) => String(world.lab.host(site).addresses.v4)
      const [nearMachine, farMachine] = [machineOf(near, addressOf(a)), machineOf(far, addressOf(b))]
      const mbit = (ms: number) => (bytes * 8) / ms / 1000
      const culvert = async (direction: Direction) => {
        const { socket } = await near.client.connect(b, 'trade')
        const carried = await carry(socket, direction, content)
        t.is(carried.sha256, sha256(content), name)
        return mbit(carried.ms)
      }
      const script = `${ROOT}/test/scenario/tls-end.ts`
      const tcp = async (direction: Direction) => {
        const args = [script, direction, farMachine.address, String(TLS_PORT), String(bytes)]
        return mbit(Number((await near.host.exec(process.execPath, args, { timeoutMs: 240_000 })).stdout))
      }
      const udx = async (direction: Direction) => {
        const ends = direction === 'up' ? ([nearMachine, farMachine] as const) : ([farMachine, nearMachine] as const)
        // The others ask, or wait for an answer.
        return mbit((await bareUdxMs(...ends, bytes)) + line.rttMs / 2)
      }
      if (!FULL) {
        await culvert('down')
        await culvert('up')
        return
      }
      const bare = far.host.spawn(process.execPath, [script, 'serve', String(TLS_PORT), String(bytes)])
      await bare.waitForOutput(/ready/)
      for (const direction of ['down', 'up'] as const) {
        const runs: Run[] = []
        for (let round = 0; round < REPEATS; round++) {
          runs.push({ culvert: await culvert(direction), tcp: await tcp(direction), udx: await udx(direction) })
        }
        const sender = direction === 'up' ? near.peer(b) : far.peer(a)
        const transport = (await sender).path?.transport
        const of = (key: keyof Run) => runs.map(run => run[key])
        const ratio = median(of('culvert')) / Math.max(median(of('tcp')), median(of('udx')))
        const list = (key: keyof Run) =>
          `${key} ${of(key)
            .map(value => value.toFixed(2))
            .join(', ')}`
        const what = `${name} ${direction} (${line.rateMbit} Mbit/s, ${line.rttMs} ms, ${line.lossPct} %)`
        t.log(
          `${what}: ${list('culvert')} over ${transport}; ${list('tcp')}; ${list('udx')}; ratio ${ratio.toFixed(2)}`,
        )
        t.true(ratio >= BUDGET, `${what}: ${ratio.toFixed(2)}`)
      }
      await bare.stop()
    }
    // In two parts, so that the machine itself is not what is measured.
    for (const part of [lines.slice(0, 3), lines.slice(3)]) {
      await Promise.all(part.map(([name, line]) => measure(name, line)))
    }
  },
)

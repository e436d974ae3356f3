import { createHash, randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { ROOT } from './built-bundle.ts'
import { World } from './world.ts'

/** With CULVERT_FULL (any number) more is sent, three times, and the budget must hold; else little, once, and it must arrive. */
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

interface Run {
  readonly mbit: number
  readonly bareMbit: number
}

/** Half of the delay and of the loss on either site's line. */
function siteOf({ rateMbit, rttMs, lossPct }: Line): SiteOptions {
  return { kind: 'none', rateMbit, delayMs: rttMs / 4, lossPct: lossPct / 2 }
}

/** Takes what the other side sends; gives its SHA-256 and how long the last byte took from the first word. */
async function fetchAll(stream: Duplex): Promise<{ readonly sha256: string; readonly ms: number }> {
  const startedAt = performance.now()
  const hash = createHash('sha256')
  stream.write('go')
  for await (const chunk of stream) hash.update(Buffer.from(chunk))
  return { sha256: hash.digest('hex'), ms: performance.now() - startedAt }
}

rootTest('on lines from good to dreadful transfers complete, about as fast as the line lets bare TLS be', async t => {
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
    const bytes = line.bytes * GROW
    const content = randomBytes(bytes)
    const sha256 = createHash('sha256').update(content).digest('hex')
    const target = await world.serve(name, socket => socket.once('data', () => socket.end(content)))
    const [near, far] = await Promise.all([
      world.startAgent(a, { peers: [b], keep: true }),
      world.startAgent(b, { peers: [a], config: { services: { source: { target } } } }),
    ])
    await Promise.all([near.waitForRelay(), far.waitForRelay()])
    await near.waitForPeer(b, 'direct', ({ path }) => path !== null && path.kind !== 'relay')
    const script = `${ROOT}/test/scenario/tls-end.ts`
    const bare = far.host.spawn(process.execPath, [script, 'serve', String(TLS_PORT), String(bytes)])
    await bare.waitForOutput(/ready/)
    const host = world.lab.host(b).addresses.v4 ?? ''
    const runs: Run[] = []
    for (let round = 0; round < REPEATS; round++) {
      const { socket } = await near.client.connect(b, 'source')
      const ours = await fetchAll(socket)
      t.is(ours.sha256, sha256, name)
      const { stdout } = await near.host.exec(
        process.execPath,
        [script, 'fetch', host, String(TLS_PORT), String(bytes)],
        { timeoutMs: 240_000 },
      )
      const mbit = (ms: number) => (bytes * 8) / ms / 1000
      runs.push({ mbit: mbit(ours.ms), bareMbit: mbit(Number(stdout)) })
    }
    await bare.stop()
    const transport = (await near.peer(b)).path?.transport
    const ratios = runs.map(({ mbit, bareMbit }) => mbit / bareMbit).toSorted((x, y) => x - y)
    const ratio = ratios[Math.floor(ratios.length / 2)] ?? 0
    const list = (key: keyof Run) => runs.map(run => run[key].toFixed(2)).join(', ')
    t.log(`| ${name} | ${line.rateMbit} Mbit/s, ${line.rttMs} ms, ${line.lossPct} % | ${transport} | ${list('mbit')} |`)
    t.log(`|   bare TLS | ${list('bareMbit')} | ratio ${ratio.toFixed(2)} |`)
    if (FULL) t.true(ratio >= BUDGET, `${name}: ${ratio.toFixed(2)} of bare TLS`)
  }
  // In two parts, so that the machine itself is not what is measured.
  for (const part of [lines.slice(0, 3), lines.slice(3)]) {
    await Promise.all(part.map(([name, line]) => measure(name, line)))
  }
})

import { once } from 'node:events'
import test from 'ava'
import { DEFAULT_PROBE_LIMITS, ProbeBudget } from '../../agent/nat/probe-budget.ts'
import { UdpPorts } from '../../agent/nat/udp-ports.ts'
import type { Path } from '../../agent/path/path.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { AttemptBudget } from '../../agent/session/attempt-budget.ts'
import { UdxProbing } from '../../agent/session/udx-probing.ts'
import type { CulvertError } from '../../common/errors.ts'
import { pause, systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { openProbe, type ProbeMessage, probeKeys, sealProbe } from '../../common/wire/probe.ts'
import { randomBytes, seededDraw } from '../unit/mutate.ts'

const keys = [generateKeyPair(), generateKeyPair()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i)
const log = createLog({ level: 'error', style: 'words', write: () => undefined })

// Our timers let a process end; between two packets nothing else keeps this one.
const alive = setInterval(() => undefined, 60_000)
test.after.always(() => clearInterval(alive))

class Side implements AsyncDisposable {
  readonly ports: UdpPorts
  readonly stop = new AbortController()
  readonly paths: Path[] = []
  readonly outcomes: (CulvertError | undefined)[] = []
  readonly probes: ProbeBudget
  readonly probing: UdxProbing
  remote: readonly Candidate[] = []

  private constructor(ports: UdpPorts, own: 0 | 1, limits = DEFAULT_PROBE_LIMITS) {
    this.ports = ports
    this.probes = new ProbeBudget(systemClock, limits)
    const [key, other] = own === 0 ? keys : keys.toReversed()
    if (!key || !other) throw new Error('no keys')
    this.probing = new UdxProbing({
      peerId: other.id,
      leads: own === 0,
      sealer: createSealer(key, systemClock),
      clock: systemClock,
      random: systemRandom,
      budget: new AttemptBudget(systemClock),
      probes: this.probes,
      ports,
      signal: this.stop.signal,
      remote: () => this.remote,
      own: () => [this.candidate],
      hasTcp: () => false,
      attach: path => this.paths.push(path),
      onOutcome: error => this.outcomes.push(error),
    })
  }

  static async start(own: 0 | 1): Promise<Side> {
    return new Side(await UdpPorts.open({ port: 0, clock: systemClock, random: systemRandom, log }), own)
  }

  get candidate(): Candidate {
    return { kind: 'udp', how: 'lan', endpoint: { address: '127.0.0.1', port: this.ports.number } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort()
    for (const { stream } of this.paths) stream.destroy()
    await this.ports.close()
  }
}

async function twoSides(): Promise<[Side, Side]> {
  const sides: [Side, Side] = [await Side.start(0), await Side.start(1)]
  sides[0].remote = [sides[1].candidate]
  sides[1].remote = [sides[0].candidate]
  return sides
}

test('two sides that share a secret make one path, whoever begins', async t => {
  for (const beginner of [0, 1] as const) {
    const [a, b] = await twoSides()
    await using _a = a
    await using _b = b
    a.probing.secret = SECRET
    b.probing.secret = SECRET
    await [a, b][beginner]?.probing.run()
    while (a.paths.length + b.paths.length < 2) await pause(systemClock, 1)
    const [[left], [right]] = [a.paths, b.paths]
    t.deepEqual([left?.how, right?.how, left?.transport], ['lan', 'lan', 'udx'])
    t.is(left?.remote?.port, b.ports.number)
    left?.stream.write('over there')
    const [data] = right ? await once(right.stream, 'data') : []
    t.is(String(data), 'over there')
    const packet = new Promise(resolve => right?.datagrams?.receive(bytes => resolve(bytes.toString('hex'))))
    left?.datagrams?.send(Buffer.from('c6aabb', 'hex'))
    t.is(await packet, 'c6aabb')
    t.deepEqual([a.paths.length, b.paths.length], [1, 1])
    t.true(a.probes.report.packets + b.probes.report.packets < 20)
  }
})

test('an address that only the peer knew is found by its checks', async t => {
  const [a, b] = await twoSides()
  await using _a = a
  await using _b = b
  a.remote = []
  a.probing.secret = SECRET
  b.probing.secret = SECRET
  await Promise.all([a.probing.run(), b.probing.run()])
  t.is(a.paths.length, 1)
})

test('another secret, a stranger and what is replayed get nothing', async t => {
  const [a, b] = await twoSides()
  await using _a = a
  await using _b = b
  a.probing.secret = SECRET
  b.probing.secret = SECRET.map(byte => byte ^ 1)
  await using stranger = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  let answers = 0
  stranger.receive(() => answers++)
  const to = a.candidate.endpoint
  const draw = seededDraw(5)
  const { send } = probeKeys(SECRET, 'larger')
  for (let i = 0; i < 200; i++) {
    const forged = sealProbe({ tag: send.tag, key: randomBytes(16, draw) }, systemRandom.bytes(12), {
      kind: 'check',
      transaction: systemRandom.bytes(8),
      aimedAt: to.port,
    })
    stranger.send(forged, to)
    stranger.send(randomBytes(draw(100), draw), to)
  }
  const nominate = { kind: 'nominate', transaction: systemRandom.bytes(8), cookie: systemRandom.bytes(8) } as const
  stranger.send(sealProbe(send, systemRandom.bytes(12), { ...nominate, stream: 1, small: false }), to)
  await Promise.all([a.probing.run(), b.probing.run()])
  t.deepEqual([a.paths.length, b.paths.length, answers], [0, 0, 0])
  t.is(a.outcomes.at(-1)?.code, 'timed-out')
})

test('an answer is not longer than what asked for it', async t => {
  await using a = await Side.start(1)
  a.probing.secret = SECRET
  await using peer = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const { send, receive } = probeKeys(SECRET, 'smaller')
  const to = a.candidate.endpoint
  const sizes: number[] = []
  const nominated = Promise.withResolvers<void>()
  const cookie = new Promise<Uint8Array>(resolve => {
    peer.receive(bytes => {
      const message = openProbe(receive, bytes)
      if (message?.kind === 'answer') resolve(message.cookie)
      if (message?.kind !== 'nominated') return
      sizes.push(bytes.length)
      nominated.resolve()
    })
  })
  const say = (message: ProbeMessage, bytes = 0) =>
    peer.send(sealProbe(send, systemRandom.bytes(12), message, bytes), to)
  const transaction = systemRandom.bytes(8)
  say({ kind: 'check', transaction, aimedAt: to.port })
  const nominate = { kind: 'nominate', transaction, cookie: await cookie, stream: 1, small: false } as const
  for (let i = 0; i < 20; i++) say(nominate)
  await pause(systemClock, 50)
  t.deepEqual(sizes, [])
  for (let i = 0; i < 2_000; i++) {
    say(nominate, 1_172)
    if (i % 20 === 0) await pause(systemClock, 1)
  }
  await nominated.promise
  await pause(systemClock, 50)
  t.is(sizes[0], 1_172)
  t.true(sizes.length <= 1_024, `${sizes.length} answers`)
})

test('a side that is stopped at any moment leaves the other one unharmed', async t => {
  const draw = seededDraw(11)
  for (let round = 0; round < 60; round++) {
    const [a, b] = await twoSides()
    a.probing.secret = SECRET
    b.probing.secret = SECRET
    void a.probing.run()
    void b.probing.run()
    const [first, second] = draw(2) === 0 ? [a, b] : [b, a]
    await pause(systemClock, draw(40))
    if (draw(2) === 0) first.stop.abort()
    else await first[Symbol.asyncDispose]()
    for (const { stream } of second.paths) stream.write(Buffer.alloc(draw(100_000)))
    await pause(systemClock, draw(10))
    await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()])
  }
  t.pass()
})

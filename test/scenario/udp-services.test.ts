import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { PathKind } from '../../agent/path/path.ts'
import { rootTest } from '../lab/root-test.ts'
import type { TestAgent } from './test-agent.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const PROGRAM = join(import.meta.dirname, 'udp-program.ts')
const SIZES = [1, 0, 1_200, 1_420, 4_096, 16_384, 65_507]
const ECHO_PORT = 7000
const DNS_PORT = 5300
const IPERF_PORT = 5201
const SOCKS_PORT = 1080
const WEB_PORT = 8000

const SERVICES = {
  echo: { target: `udp://127.0.0.1:${ECHO_PORT}` },
  dns: { target: `udp://127.0.0.1:${DNS_PORT}` },
  web: { target: `tcp://127.0.0.1:${WEB_PORT}` },
  'iperf-tcp': { target: `tcp://127.0.0.1:${IPERF_PORT}` },
  'iperf-udp': { target: `udp://127.0.0.1:${IPERF_PORT}` },
}

/** Bob is met by TCP, carol by UDP only, and dave, behind a NAT as hard as hers, meets her over the relay. */
async function startWorld(): Promise<World> {
  const world = await World.start({
    lab: { sites: { alice: 'eim-adf', bob: 'eim-apdf', carol: { kind: 'edm', delayMs: 10 }, dave: 'edm' } },
    agents: {},
  })
  for (const name of ['alice', 'bob', 'carol', 'dave']) await world.prepare(name)
  const bulk = await world.serve('bulk', echoService)
  const services = { ...SERVICES, bulk: { target: bulk } }
  const forwards = [
    { listen: 'udp://127.0.0.1:7001', to: 'bob/echo' },
    { listen: 'udp://127.0.0.1:7002', to: 'carol/echo' },
    { listen: 'udp://127.0.0.1:5353', to: 'bob/dns' },
    { listen: `tcp://127.0.0.1:${IPERF_PORT}`, to: 'bob/iperf-tcp' },
    { listen: `udp://127.0.0.1:${IPERF_PORT}`, to: 'bob/iperf-udp' },
    { listen: `socks5://127.0.0.1:${SOCKS_PORT}` },
  ]
  await Promise.all([
    world.startAgent('alice', { config: { forwards } }),
    world.startAgent('dave', { config: { forwards: forwards.slice(0, 2) } }),
    ...['bob', 'carol'].map(name => world.startAgent(name, { config: { services } })),
  ])
  await Promise.all(['alice', 'bob', 'carol', 'dave'].map(name => world.agent(name).waitForRelay()))
  for (const name of ['bob', 'carol']) {
    await world
      .agent(name)
      .host.spawn(process.execPath, [PROGRAM, 'echo', `${ECHO_PORT}`])
      .waitForOutput(/ready/)
  }
  return world
}

async function run({ host }: TestAgent, command: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.exec(command, args, { timeoutMs: 60_000 })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`)
  return stdout
}

async function program(agent: TestAgent, ...args: readonly (string | number)[]): Promise<unknown> {
  return JSON.parse(await run(agent, process.execPath, [PROGRAM, ...args.map(String)]))
}

rootTest('UDP services work between NATed homes on each kind of path, and so does a SOCKS5 client', async t => {
  await using world = await startWorld()
  const alice = world.agent('alice')
  const dave = world.agent('dave')

  await allSizes(t, alice, 'bob', 7001, 'tcp')
  await allSizes(t, alice, 'carol', 7002, 'udp')
  await allSizes(t, dave, 'carol', 7002, 'relay')
  await lossDelaysNone(t, world)
  await iperf(t, world)
  await dns(t, world)
  await socks(t, world)
  await floodBesideStreams(t, alice)
})

async function allSizes(t: ExecutionContext, from: TestAgent, to: string, port: number, kind: PathKind) {
  await from.client.ping(to)
  await from.waitForPeer(to, `on ${kind}`, ({ path }) => path?.kind === kind)
  // Direct ways, where there are some, are made by now.
  t.deepEqual(await program(from, 'ask', port, ...SIZES), SIZES, `${from.name} to ${to}`)
  const { path, datagramsIn, datagramsOut, datagramsDropped } = await from.peer(to)
  t.is(path?.kind, kind)
  t.true(datagramsIn >= SIZES.length && datagramsOut >= datagramsIn)
  t.log(`${from.name} to ${to}: ${path?.transport} ${path?.how}; ${datagramsDropped} dropped`)
}

/** Over UDX, where datagrams have packets of their own; the stream of bytes beside them has to send again. */
async function lossDelaysNone(t: ExecutionContext, world: World) {
  const alice = world.agent('alice')
  const carol = world.lab.site('carol')
  const pace = async () => (await program(alice, 'pace', 7002, 400, 5)) as readonly (readonly [number, number])[]
  const { socket } = await alice.client.connect('carol', 'bulk')
  await carol.setLoss(5)
  const [rtts, { sent, received }] = await Promise.all([pace(), transferBothWays(socket, 200_000)])
  await carol.setLoss(0)
  const { path } = await alice.peer('carol')
  t.is(path?.transport, 'udx')
  t.is(received, sent)
  t.true(rtts.length > 300 && rtts.length < 400, `${rtts.length} of 400 came back`)
  // In a stream, what follows a lost piece waits until that was sent again: a round trip, so 20 ms more.
  const came = new Map(rtts)
  const behindLost = median(rtts.filter(([number]) => number > 0 && !came.has(number - 1)).map(([, ms]) => ms))
  const all = median(rtts.map(([, ms]) => ms))
  t.true(behindLost - all < 10, `${all} ms in all, ${behindLost} ms behind a lost one`)
  t.log(`5 % loss each way: ${rtts.length} of 400 came back, half within ${all.toFixed(1)} ms`)
  t.log(`of those behind a lost one, half within ${behindLost.toFixed(1)} ms`)
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0
}

async function iperf(t: ExecutionContext, world: World) {
  const bob = world.agent('bob')
  const server = bob.host.spawn('iperf3', ['-s', '-1', '-B', '127.0.0.1', '-p', `${IPERF_PORT}`, '--forceflush'])
  await server.waitForOutput(/listening/)
  const args = ['-c', '127.0.0.1', '-p', `${IPERF_PORT}`, '-u', '-b', '4M', '-l', '1200', '-t', '2', '-J']
  const { end } = JSON.parse(await run(world.agent('alice'), 'iperf3', args)) as {
    readonly end: {
      readonly sum: { readonly packets: number; readonly lost_percent: number; readonly jitter_ms: number }
    }
  }
  t.true(end.sum.packets > 600, `${end.sum.packets} packets`)
  // A machine that is busy with other tests stops us for longer than a socket's buffer lasts, now and then.
  t.true(end.sum.lost_percent < 20, `${end.sum.lost_percent} % lost`)
  t.log(`iperf3 -u, 4 Mbit/s: ${end.sum.lost_percent.toFixed(2)} % lost, jitter ${end.sum.jitter_ms.toFixed(2)} ms`)
}

async function dns(t: ExecutionContext, world: World) {
  const dnsmasq = '/usr/sbin/dnsmasq'
  if (!existsSync(dnsmasq)) {
    t.log('no dnsmasq here (Debian: dnsmasq-base): not tried with a real DNS server')
    return
  }
  const options = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--user=root',
    '--no-resolv',
    '--no-hosts',
    '--pid-file=',
  ]
  const where = [`--port=${DNS_PORT}`, '--listen-address=127.0.0.1', '--bind-interfaces', '--edns-packet-max=4096']
  world.agent('bob').host.spawn(dnsmasq, [...options, ...where, '--address=/attic.test/192.0.2.7'])
  const script = `
    const { Resolver } = require('node:dns').promises
    const resolver = new Resolver({ timeout: 1000, tries: 10 })
    resolver.setServers(['127.0.0.1:5353'])
    resolver.resolve4('attic.test').then(found => console.log(JSON.stringify(found)))`
  t.deepEqual(JSON.parse(await run(world.agent('alice'), process.execPath, ['-e', script])), ['192.0.2.7'])
}

async function socks(t: ExecutionContext, world: World) {
  const page = join(world.directory, 'page')
  await writeFile(page, randomBytes(3_000_000).toString('hex'))
  const server = world.agent('bob').host.spawn(process.execPath, ['-e', WEB_SERVER, page, `${WEB_PORT}`])
  await server.waitForOutput(/ready/)
  const proxy = ['-sS', '--fail', '--socks5-hostname', `127.0.0.1:${SOCKS_PORT}`]
  const alice = world.agent('alice')
  const got = join(world.directory, 'got')
  await run(alice, 'curl', [...proxy, '-o', got, 'http://web.bob.culvert.internal/'])
  await run(alice, 'cmp', [page, got])
  // curl's exit code 97 is CURLE_PROXY; its message has the code of the reply.
  for (const [url, code] of [
    ['http://web.nobody.culvert.internal/', 4],
    ['http://none.bob.culvert.internal/', 5],
    ['http://example.org/', 2],
  ] as const) {
    const refused = await alice.host.exec('curl', [...proxy, url], {})
    t.is(refused.code, 97, refused.stderr)
    t.regex(refused.stderr, new RegExp(`\\(${code}\\)`))
  }
}

const WEB_SERVER = `
const { createServer } = require('node:http'); const { createReadStream } = require('node:fs')
createServer((_, response) => createReadStream(process.argv[1]).pipe(response))
  .listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'))`

async function floodBesideStreams(t: ExecutionContext, alice: TestAgent) {
  const { socket } = await alice.client.connect('bob', 'bulk')
  const flooding = program(alice, 'flood', 7001, 3_000)
  const startedAt = performance.now()
  const bytes = 64 * 1024 * 1024
  const { sent, received } = await transferBothWays(socket, bytes)
  const seconds = (performance.now() - startedAt) / 1000
  t.is(received, sent)
  const count = await flooding
  const { datagramsDropped } = await alice.peer('bob')
  const memoryMb = await alice.peakMemoryMb()
  t.true(memoryMb < 160, `${memoryMb} MB resident`)
  t.log(
    `beside a flood of ${count} datagrams in 3 s (${datagramsDropped} dropped here) 64 MiB went both ways in ` +
      `${seconds.toFixed(1)} s; ${Math.round(memoryMb)} MB resident`,
  )
}

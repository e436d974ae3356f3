import { encodeCandidates } from '../../common/wire/candidate.ts'
import { encodeOpen } from '../../common/wire/session-frame.ts'
import { rootTest } from '../lab/root-test.ts'
import type { TestAgent } from './test-agent.ts'
import { transferOf } from './transfer.ts'
import { World } from './world.ts'

const SERVICE = 'grandmothers-recipes'
const SERVICE_PORT = 7000
/** Short, so that every frame that has plaintext in it has one whole. */
const MARKER = 'the secret of the house '
const BYTES = 4 * 1024 * 1024

rootTest('what passes the relay holds no plaintext, no service name and no address of a LAN', async t => {
  const peersOf = {
    'hard-alice': 'hard-bob',
    'hard-bob': 'hard-alice',
    'easy-alice': 'easy-bob',
    'easy-bob': 'easy-alice',
  }
  const config = { services: { [SERVICE]: { target: `tcp://127.0.0.1:${SERVICE_PORT}` } } }
  await using world = await World.start({
    lab: { sites: { 'hard-alice': 'edm', 'hard-bob': 'edm', 'easy-alice': 'eim-apdf', 'easy-bob': 'eim-apdf' } },
    agents: {},
  })
  const names = Object.keys(peersOf)
  for (const name of names) await world.prepare(name)
  const atRelay = await world.lab.capture()
  const atServices = await Promise.all(
    ['hard-bob', 'easy-bob'].map(async name => {
      await startEcho(world, name)
      return world.lab.capture(world.lab.host(name), 'lo')
    }),
  )
  const agents = await Promise.all(
    Object.entries(peersOf).map(([name, peer]) => {
      // Long, so that on a busy machine no byte of the easy pair goes over the relay.
      const relay = name.startsWith('easy') ? { graceMs: 60_000 } : {}
      return world.startAgent(name, { peers: [peer], config: { ...config, relay } })
    }),
  )
  await Promise.all(agents.map(agent => agent.waitForRelay()))

  for (const pair of ['hard', 'easy']) {
    const alice = world.agent(`${pair}-alice`)
    const { socket } = await alice.client.connect(`${pair}-bob`, SERVICE)
    const { sent, received } = await transferOf(socket, Buffer.from(MARKER), BYTES)
    t.is(received, sent)
    const { path, relayBytesIn, relayBytesOut } = await alice.peer(`${pair}-bob`)
    t.is(path?.kind === 'relay', pair === 'hard')
    t.is(relayBytesIn + relayBytesOut, pair === 'hard' ? 2 * BYTES : 0)
  }

  const seen = await atRelay.stop()
  t.is(seen.dropped, 0)
  t.true(seen.bytes.length > 4 * BYTES, `the relay took in and sent out ${seen.bytes.length} bytes`)
  const secrets = [MARKER, SERVICE, ...names].map(text => [text, Buffer.from(text)] as const)
  for (const [what, bytes] of [...secrets, ...agents.flatMap(agent => addressesOf(world, agent))]) {
    t.is(seen.bytes.indexOf(bytes), -1, `"${what}" passed the relay`)
  }

  for (const capture of atServices) {
    const { bytes, dropped } = await capture.stop()
    t.is(dropped, 0)
    t.true(bytes.includes(MARKER), 'the same search finds the plaintext where it is in the clear')
  }
  t.true(encodeOpen(1, SERVICE).includes(SERVICE), 'and the service name in what is sealed')
  for (const agent of agents) t.true(found(told(world, agent), addressesOf(world, agent)), 'and the addresses')
  t.log(`${seen.packets} frames, ${seen.bytes.length} bytes at the relay`)
})

/** The agent's own address as text and, with each of its ports, in the orders in which protocols write them. */
function addressesOf(world: World, agent: TestAgent): readonly (readonly [string, Buffer])[] {
  const address = lanAddressOf(world, agent)
  const host = Buffer.from(address.split('.').map(Number))
  const ports = Object.entries(agent.ports).flatMap(([kind, number]) => {
    const port = Buffer.from([number >> 8, number & 0xff])
    return [
      [`${kind} port and ${address}`, Buffer.concat([port, host])] as const,
      [`${address} and ${kind} port`, Buffer.concat([host, port])] as const,
    ]
  })
  return [[address, Buffer.from(address)], ...ports]
}

/** The candidates frame that the agent sends its peer, before it is sealed. */
function told(world: World, agent: TestAgent): Buffer {
  const endpoint = { address: lanAddressOf(world, agent), port: agent.ports.tcp }
  return Buffer.from(encodeCandidates([{ kind: 'tcp', how: 'lan', endpoint }]))
}

function found(bytes: Buffer, needles: readonly (readonly [string, Buffer])[]): boolean {
  return needles.some(([, needle]) => bytes.includes(needle))
}

function lanAddressOf(world: World, agent: TestAgent): string {
  const address = world.lab.host(agent.name).addresses.v4
  if (address === null) throw new Error(`${agent.name} has no IPv4 address`)
  return address
}

async function startEcho(world: World, name: string): Promise<void> {
  const program = `require('node:net').createServer({ allowHalfOpen: true }, socket => socket.pipe(socket))
    .listen(${SERVICE_PORT}, '127.0.0.1', () => console.log('ready'))`
  await world.lab.host(name).spawn(process.execPath, ['-e', program]).waitForOutput(/ready/)
}

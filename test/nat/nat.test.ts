import test from 'ava'
import { type Nat, type NatReport, startNat } from '../../agent/nat/nat.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog } from '../../common/platform/log.ts'
import { listInterfaceAddresses } from '../../common/platform/network-interfaces.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import { formatCandidate } from '../../common/wire/candidate.ts'
import { peerIdFromBytes } from '../../common/wire/peer-id.ts'
import { startStunResponder } from './stun-responder.ts'

const LOOPBACK = listInterfaceAddresses().filter(({ loopback, family }) => loopback && family === 4)

function start(
  interfaces = () => LOOPBACK,
  online: (versions: readonly number[]) => boolean = () => true,
): Promise<Nat> {
  return startNat({
    clock: systemClock,
    random: systemRandom,
    log: createLog({ level: 'error', style: 'words', write: () => undefined }),
    tcpPort: 4000,
    udpPort: 0,
    acceptsUdp: false,
    portMapping: false,
    interfaces,
    wanted: () => false,
    online,
    ownId: peerIdFromBytes(new Uint8Array(32)),
    mappingSecret: new Uint8Array(32),
  })
}

function until(nat: Nat, wanted: (report: NatReport) => boolean): Promise<NatReport> {
  return new Promise(resolve => {
    const look = () => {
      if (!wanted(nat.report())) return
      stop()
      resolve(nat.report())
    }
    const stop = nat.onChange(look)
    look()
  })
}

test('it starts at once knowing nothing, and knows the NAT soon after it has servers', async t => {
  await using server = await startStunResponder(['127.0.0.1', '127.0.0.2'])
  const nat = await start()
  t.is(nat.report().udp.mapping, 'unknown')
  t.deepEqual(nat.candidates().map(formatCandidate), ['tcp/lan 127.0.0.1:4000'])
  nat.setStunServers(server.endpoints.slice(0, 2))
  const report = await until(nat, ({ udp, tcp }) => udp.filtering === 'none' && tcp.mapping === 'none')
  t.is(report.udp.mapping, 'none')
  t.is(report.udp.address?.address, '127.0.0.1')
  await nat.close()
})

test('listeners hear changes only, and nothing after the end', async t => {
  await using server = await startStunResponder(['127.0.0.1', '127.0.0.2'])
  const nat = await start()
  const told: string[] = []
  nat.onChange(() => told.push(JSON.stringify([nat.report(), nat.candidates()])))
  nat.setStunServers(server.endpoints)
  await until(nat, ({ udp, tcp }) => udp.filtering === 'none' && tcp.mapping === 'none')
  t.is(new Set(told).size, told.length)
  const asked = server.requests()
  nat.setStunServers(server.endpoints)
  t.is(server.requests(), asked, 'the same servers are not asked again')
  await nat.close()
  const count = told.length
  nat.setStunServers([])
  t.is(told.length, count)
})

test('a refresh asks again, and a server that fell silent makes the NAT blocked', async t => {
  let silent = false
  await using server = await startStunResponder(['127.0.0.1'], answer => (silent ? undefined : answer))
  const nat = await start()
  nat.setStunServers(server.endpoints)
  await until(nat, ({ udp }) => udp.mapping === 'none')
  silent = true
  nat.refresh('test')
  const report = await until(nat, ({ udp }) => udp.mapping === 'blocked')
  t.is(report.udp.address, null)
  await nat.close()
})

test('servers that fall silent while no relay is reached over their IP version make no network blocked', async t => {
  let silent = false
  await using server = await startStunResponder(['127.0.0.1'], answer => (silent ? undefined : answer))
  const nat = await start(undefined, versions => versions.includes(6))
  nat.setStunServers(server.endpoints)
  await until(nat, ({ udp }) => udp.mapping === 'none')
  silent = true
  nat.refresh('the network is another one')
  const report = await until(nat, ({ udp }) => udp.mapping !== 'none')
  t.deepEqual(report.udp, { mapping: 'unknown', filtering: 'unknown', address: null })
  await nat.close()
})

test('a new address is a new candidate within seconds', async t => {
  // The agent's timers alone keep no process alive.
  await using _alive = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  let addresses = LOOPBACK
  const nat = await start(() => addresses)
  const added = { interfaceName: 'eth9', address: '10.9.8.7', family: 4, prefixLength: 24, loopback: false } as const
  const heard = new Promise<void>(resolve => nat.onChange(resolve))
  addresses = [...LOOPBACK, added]
  await heard
  t.deepEqual(nat.candidates().map(formatCandidate), ['tcp/lan 10.9.8.7:4000'])
  await nat.close()
})

import test from 'ava'
import type { MappingBehaviour } from '../../agent/nat/behaviour.ts'
import { discoverTcpBehaviour } from '../../agent/nat/tcp-behaviour.ts'
import { discoverUdpBehaviour } from '../../agent/nat/udp-behaviour.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { quietPort } from '../quiet-port.ts'
import { FakeClock } from '../unit/fake-clock.ts'
import { type Bend, startStunResponder } from './stun-responder.ts'

const doors = { clock: systemClock, random: systemRandom, localPort: 0 }
const TWO = ['127.0.0.1', '127.0.0.2']

/** Answers as if a NAT stood between: the outside port is a function of where the question went. */
const natted = (portOf: (at: Endpoint, from: Endpoint) => number): Bend => {
  return (answer, at, from) => ({ ...answer, xorMappedAddress: { address: '192.0.2.1', port: portOf(at, from) } })
}

const CASES: ReadonlyArray<readonly [string, Bend, MappingBehaviour, MappingBehaviour]> = [
  ['no NAT', answer => answer, 'none', 'none'],
  ['one port for all', natted((_, from) => from.port ^ 1), 'endpoint-independent', 'endpoint-independent'],
  [
    'a port per address',
    natted(at => 1000 + Number(at.address.split('.')[3])),
    'address-dependent',
    'address-dependent',
  ],
  [
    'a port per address and port',
    natted(at => at.port ^ Number(at.address.split('.')[3]) || 1),
    'address-and-port-dependent',
    'address-and-port-dependent',
  ],
]

for (const [title, bend, udp, tcp] of CASES) {
  test(`${title}: UDP mapping ${udp} from one known server, TCP mapping ${tcp} from all`, async t => {
    await using server = await startStunResponder(TWO, bend)
    const localAddresses = ['127.0.0.1']
    const addresses: Endpoint[] = []
    const found = await discoverUdpBehaviour({
      ...doors,
      servers: server.endpoints.slice(0, 1),
      localAddresses,
      onAddress: outside => addresses.push(outside),
    })
    t.is(found.mapping, udp)
    t.is(found.filtering, udp === 'none' ? 'none' : 'endpoint-independent')
    t.is(addresses.length, 1)
    const overTcp = await discoverTcpBehaviour({ ...doors, servers: server.endpoints, localAddresses })
    t.is(overTcp.mapping, tcp)
  })
}

test('a silent network is called blocked within two seconds', async t => {
  await using mute = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const clock = new FakeClock()
  // About the mapping, and about the filtering.
  const asked = Promise.withResolvers<void>()
  let questions = 0
  mute.receive(() => {
    if (++questions === 2) asked.resolve()
  })
  const found = discoverUdpBehaviour({ ...doors, clock, servers: [mute.local], localAddresses: [] })
  await asked.promise
  clock.advance(2_000)
  t.deepEqual(await found, { mapping: 'blocked', filtering: 'blocked', address: undefined })
})

test('a server with two ports and one address tells as much as it can', async t => {
  await using server = await startStunResponder(
    ['127.0.0.1'],
    natted(() => 7),
  )
  const found = await discoverUdpBehaviour({ ...doors, servers: server.endpoints, localAddresses: [] })
  t.like(found, { mapping: 'endpoint-independent', filtering: 'address-dependent' })
})

test('the asked-for local port is used when it is free, another when it is not', async t => {
  await using server = await startStunResponder(['127.0.0.1'])
  const options = { ...doors, servers: server.endpoints, localAddresses: ['127.0.0.1'] }
  const taken = await openUdpSocket({ family: 4, port: await quietPort() })
  const other = await discoverUdpBehaviour({ ...options, localPort: taken.local.port })
  t.is(other.mapping, 'none')
  t.not(other.address?.port, taken.local.port)
  await taken.close()
  const same = await discoverUdpBehaviour({ ...options, localPort: taken.local.port })
  t.is(same.address?.port, taken.local.port)
})

test('without servers nothing is sent and nothing is claimed', async t => {
  t.is((await discoverUdpBehaviour({ ...doors, servers: [], localAddresses: [] })).mapping, 'unknown')
  t.is((await discoverTcpBehaviour({ ...doors, servers: [], localAddresses: [] })).mapping, 'unknown')
})

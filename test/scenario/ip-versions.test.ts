import { probeLine } from '../lab/probes.ts'
import { rootTest } from '../lab/root-test.ts'
import { World } from './world.ts'

const url = (address: string | undefined) => `http://${address?.includes(':') ? `[${address}]` : address}:443`

rootTest('a pair without an IP version in common is told so, and neither network is called blocked', async t => {
  // As most relays are set up: agents reach it over both, and STUN is told for IPv4 alone.
  await using world = await World.start({
    lab: { sites: { four: 'eim-apdf', six: { kind: 'eim-apdf', ipv6: 'only' } } },
    relay: { listen: '[::]:443' },
    agents: {},
  })
  for (const name of ['four', 'six']) await world.prepare(name)
  const { v4, v6 } = world.lab.relayHost.addresses
  const [four, six] = await Promise.all([
    world.startAgent('four', { config: { relays: [{ url: url(v4[0]) }] } }),
    world.startAgent('six', { config: { relays: [{ url: url(v6[0]) }] } }),
  ])
  await Promise.all([four.waitForRelay(), six.waitForRelay()])
  await four.client.ping('six')
  await four.waitForPeer('six', 'the cause', peer => /only IPv6/.test(peer.why))
  const { why, remedy } = await four.peer('six')
  t.regex(why, /the network here has only IPv4 and the network at six only IPv6/)
  t.regex(remedy ?? '', /turn on IPv6 in the router here/)
  await six.waitForPeer('four', 'the cause there, too', peer => /network at four has only IPv4/.test(peer.why))
  const { nat } = await six.client.status()
  t.deepEqual([nat.udp.mapping, nat.tcp.mapping], ['unknown', 'unknown'])
  const report = await six.client.doctor(undefined)
  const unknown = report.findings.find(({ code }) => code === 'nat-unknown')
  t.regex(unknown?.text ?? '', /an IP version that this device has/)
  t.false(report.findings.some(({ code }) => code === 'web-only' || code === 'udp-blocked'))
})

rootTest(
  'a relay with one line of config tells STUN servers of both IP versions, whichever the agent came over',
  async t => {
    await using world = await World.start({
      lab: { sites: { both: { kind: 'eim-apdf', ipv6: 'on' }, six: { kind: 'eim-apdf', ipv6: 'only' } } },
      relay: { listen: '[::]:443', stun: { port: 3478 } },
      agents: {},
    })
    for (const name of ['both', 'six']) await world.prepare(name)
    const relays = [{ url: url(world.lab.relayHost.addresses.v6[0]) }]
    const [both, six] = await Promise.all([
      world.startAgent('both', { config: { relays } }),
      world.startAgent('six', { config: { relays } }),
    ])
    const seen = await both.waitFor('its IPv4 NAT', ({ nat }) => nat.udp.mapping === 'endpoint-independent')
    t.regex(seen.nat.udp.address ?? '', new RegExp(`^${world.lab.host('both').addresses.public4}:`))
    await six.waitFor('no NAT on IPv6', ({ nat }) => nat.udp.mapping === 'none' && nat.tcp.mapping === 'none')
  },
)

rootTest(
  'STUN answers from the address that was asked, on each address of the relay, and on one that comes later',
  async t => {
    await using world = await World.start({
      lab: { sites: { home: 'eim-apdf' } },
      relay: { stun: { port: 3478 } },
      agents: {},
    })
    const { relayHost } = world.lab
    const home = world.lab.host('home')
    const [first = '', second = ''] = relayHost.addresses.v4
    // The home's NAT lets in nothing but answers: one from elsewhere is lost.
    for (const server of [first, second]) t.is((await probeLine(home, { server, waitMs: 2_000 })).answered, 5)
    const later = second.replace(/\d+$/, '12')
    await relayHost.exec('ip', ['address', 'add', `${later}/24`, 'dev', 'eth0'])
    while ((await probeLine(home, { server: later, count: 1, waitMs: 1_000 })).answered === 0);
    t.is((await probeLine(home, { server: later, waitMs: 2_000 })).answered, 5)
  },
)

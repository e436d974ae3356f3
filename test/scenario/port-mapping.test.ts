import { untilEmpty } from '../guard.ts'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

const PROTOCOLS = {
  upnp: { upnp: true },
  'nat-pmp': { natPmp: true },
  pcp: { pcp: true },
} as const satisfies Readonly<Record<string, Partial<SiteOptions>>>

/** What miniupnpd has opened on a site's router: redirections of IPv4, and pinholes. */
async function opened(world: World, site: string): Promise<readonly string[]> {
  const { router } = world.lab.site(site)
  const chains = ['prerouting_miniupnpd', 'miniupnpd'].map(chain =>
    router.exec('nft', ['list', 'chain', 'inet', 'lab', chain]),
  )
  const listings = await Promise.all(chains)
  return listings.flatMap(({ stdout }) => stdout.split('\n').filter(line => /dnat|accept/.test(line)))
}

for (const [protocol, mapper] of Object.entries(PROTOCOLS)) {
  rootTest(
    `two hard NATs connect over TCP when one of them speaks ${protocol}; nothing is left at the end`,
    async t => {
      await using world = await World.start({
        lab: { sites: { alice: 'edm', bob: { kind: 'edm', ...mapper } } },
        agents: {},
      })
      const target = await world.serve('echo', echoService)
      for (const name of ['alice', 'bob']) await world.prepare(name)
      const bob = await world.startAgent('bob', { config: { services: { echo: { target } } } })
      const alice = await world.startAgent('alice')
      const { nat } = await bob.waitFor(
        'mapped ports',
        ({ nat: { portMapping } }) => portMapping.tcp !== null && portMapping.udp !== null,
      )
      t.is<string, string>(nat.portMapping.protocol, protocol)
      t.is(nat.portMapping.problem, null)
      await alice.waitForRelay()
      const { socket } = await alice.client.connect('bob', 'echo')
      const direct = alice.waitForPeer('bob', 'over TCP', ({ path }) => path?.kind === 'tcp')
      const { sent, received } = await transferBothWays(socket, 8 * MIB)
      t.is(received, sent)
      t.is((await direct).path?.how, 'mapped')
      t.true((await opened(world, 'bob')).length > 0)
      const { code } = await bob.stop()
      t.is(code, 0)
      await t.notThrowsAsync(untilEmpty(() => opened(world, 'bob')))
    },
  )
}

/** All but who may reach nothing beyond ports 80 and 443 of the internet. */
const KINDS = [
  'firewall',
  'eim-eif',
  'eim-apdf',
  'edm',
  'edm-sequential',
  'carrier',
  'carrier-edm',
  'udp-blocked',
] as const

for (const [protocol, mapper] of Object.entries(PROTOCOLS)) {
  rootTest(`every kind of site is direct over TCP with a hard NAT that speaks ${protocol}`, async t => {
    const sites = Object.fromEntries(KINDS.map(kind => [kind, kind] as const))
    await using world = await World.start({ lab: { sites: { ...sites, bob: { kind: 'edm', ...mapper } } }, agents: {} })
    const names = ['bob', ...KINDS]
    for (const name of names) await world.prepare(name)
    const agents = await Promise.all(names.map(name => world.startAgent(name)))
    const [bob, ...others] = agents
    await bob?.waitFor('a verified mapping', ({ nat }) => nat.portMapping.verified)
    const found = await Promise.all(
      others.map(async agent => {
        await agent.waitForRelay()
        await agent.client.ping('bob')
        const { path } = await agent.waitForPeer('bob', 'direct over TCP', peer => peer.path?.kind === 'tcp')
        return `${agent.name} ${path?.how}`
      }),
    )
    t.log(found.join(', '))
    t.is(found.length, KINDS.length)
  })
}

for (const [protocol, mapper] of Object.entries(PROTOCOLS)) {
  rootTest(
    `with a TCP port below 1024 the UDP port is mapped all the same by ${protocol}, and what to do is said`,
    async t => {
      await using world = await World.start({ lab: { sites: { bob: { kind: 'eim-apdf', ...mapper } } }, agents: {} })
      await world.prepare('bob')
      const bob = await world.startAgent('bob', { config: { listen: { tcp: 443 } } })
      const { nat } = await bob.waitFor('the UDP port alone', ({ nat: { portMapping } }) => portMapping.udp !== null)
      t.is(nat.portMapping.tcp, null)
      t.regex(nat.portMapping.problem ?? '', /from 1024 only; forward TCP port 443 to this machine by hand/)
      t.is((await opened(world, 'bob')).filter(line => /tcp/.test(line)).length, 0)
    },
  )
}

rootTest('where TCP finds no way, two hard NATs meet at the UDP port that one of them mapped', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'edm', bob: { kind: 'edm', pcp: true } } },
    agents: {},
  })
  const { public4 } = world.lab.host('bob').addresses
  const shut = ['oifname', 'wan', 'ip', 'daddr', public4 ?? '', 'meta', 'l4proto', 'tcp', 'drop']
  await world.lab.site('alice').router.exec('nft', ['insert', 'rule', 'inet', 'lab', 'forward', ...shut])
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const bob = await world.startAgent('bob')
  const alice = await world.startAgent('alice')
  await bob.waitFor('a mapped port', ({ nat }) => nat.portMapping.udp !== null)
  await alice.waitForRelay()
  await alice.client.ping('bob')
  const { path } = await alice.waitForPeer('bob', 'direct over UDP', peer => peer.path?.kind === 'udp')
  t.is(`${path?.how} ${path?.remote}`, `mapped ${public4}:${bob.ports.udp}`)
})

rootTest('IPv6 only: a router that starts again opens the pinhole again as soon as it says so', async t => {
  await using world = await World.start({
    lab: { sites: { bob: { kind: 'eim-apdf', ipv6: 'only', pcp: true } } },
    relay: false,
    agents: { bob: {} },
  })
  await world.agent('bob').waitFor('a pinhole', ({ nat }) => nat.portMapping.tcp !== null)
  // Announcements right after the router was found are not believed: they may be about the start that found it.
  await new Promise(resolve => setTimeout(resolve, 10_000))
  await world.lab.site('bob').reboot()
  const startedAt = performance.now()
  while ((await opened(world, 'bob')).length < 2) await new Promise(resolve => setTimeout(resolve, 100))
  const tookMs = Math.round(performance.now() - startedAt)
  t.log(`back after ${tookMs} ms`)
  t.true(tookMs < 10_000 * SLACK)
})

rootTest('IPv6 only: a pinhole by PCP lets a host in whose own firewall nobody can punch', async t => {
  await using world = await World.start({
    // Alice's router lets nothing out but TCP, and answers what nobody asked for with RST.
    lab: {
      sites: {
        alice: { kind: 'udp-blocked', ipv6: 'only', unsolicitedTcp: 'reset' },
        bob: { kind: 'eim-apdf', ipv6: 'only', pcp: true },
      },
    },
    relay: { listen: '[::]:443', stun: { addresses: ['2001:db8:ffff::10', '2001:db8:ffff::11'], port: 3478 } },
    agents: {},
  })
  const target = await world.serve('echo', echoService)
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const relays = [{ url: `http://[${world.lab.relayHost.addresses.v6[0]}]:443` }]
  const bob = await world.startAgent('bob', { config: { relays, services: { echo: { target } } } })
  const alice = await world.startAgent('alice', { config: { relays } })
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  const { socket } = await alice.client.connect('bob', 'echo')
  const { sent, received } = await transferBothWays(socket, 8 * MIB)
  t.is(received, sent)
  await alice.waitForPeer('bob', 'let in', ({ path }) => path?.kind === 'tcp' && path.how === 'ipv6')
  // Both: what the router opens too late for us to hear of it is not closed at the end.
  const { nat } = await bob.waitFor(
    'verified pinholes',
    ({ nat: { portMapping } }) => portMapping.verified && portMapping.tcp !== null && portMapping.udp !== null,
  )
  t.is((await opened(world, 'bob')).length, 2)
  t.like(nat.portMapping, {
    protocol: 'pcp',
    tcp: `[${world.lab.host('bob').addresses.v6}]:${bob.ports.tcp}`,
    problem: null,
  })
  await bob.stop()
  await t.notThrowsAsync(untilEmpty(() => opened(world, 'bob')))
})

rootTest('a mapping is seen to work from outside before anybody is told of it', async t => {
  await using world = await World.start({
    lab: { sites: { bob: { kind: 'eim-apdf', upnp: true } } },
    agents: { bob: {} },
  })
  const bob = world.agent('bob')
  const { nat } = await bob.waitFor(
    'mapped ports',
    ({ nat: { portMapping } }) => portMapping.verified && portMapping.tcp !== null && portMapping.udp !== null,
  )
  const { public4 } = world.lab.host('bob').addresses
  t.is(nat.portMapping.tcp, `${public4}:${bob.ports.tcp}`)
  t.is(nat.portMapping.udp, `${public4}:${bob.ports.udp}`)
  t.is(nat.portMapping.problem, null)
  for (const transport of ['tcp', 'udp']) {
    t.is(bob.logged(`looked at from outside transport=${transport}`).filter(line => line.includes('reached')).length, 1)
  }
})

rootTest('a mapping that lets nothing in is not told, and its owner learns why', async t => {
  await using world = await World.start({
    lab: { sites: { bob: { kind: 'eim-apdf', upnp: true } } },
    agents: {},
  })
  const { router } = world.lab.site('bob')
  // The provider's firewall, say: miniupnpd grants all the same.
  const rule = ['rule', 'inet', 'lab', 'forward', 'iifname', 'wan', 'ct', 'state', 'new', 'drop']
  await router.exec('nft', ['insert', ...rule])
  await world.prepare('bob')
  const bob = await world.startAgent('bob')
  const found = await bob.waitFor('the problem', ({ nat: { portMapping } }) =>
    /opened TCP port \d+ and UDP port \d+, but/.test(portMapping.problem ?? ''),
  )
  t.is(found.nat.portMapping.tcp, null)
  t.is(found.nat.portMapping.udp, null)
  t.false(found.nat.portMapping.verified)
})

rootTest('where UDP is blocked a mapped UDP port is not told, though its first half works', async t => {
  await using world = await World.start({
    lab: { sites: { bob: { kind: 'udp-blocked', upnp: true } } },
    agents: { bob: {} },
  })
  const bob = world.agent('bob')
  const look = 'transport=udp [^\\n]*outcome=unreached'
  await bob.process?.waitForOutput(new RegExp(`${look}[\\s\\S]*${look}`))
  const { nat } = await bob.waitFor('the TCP port', ({ nat: { portMapping } }) => portMapping.verified)
  t.is(nat.portMapping.udp, null)
  t.is(nat.portMapping.problem, null, 'the router did as it was asked')
})

rootTest('without a relay that can look the router is believed, and the mapping told as not verified', async t => {
  await using world = await World.start({
    lab: { sites: { bob: { kind: 'eim-apdf', upnp: true } } },
    relay: false,
    agents: { bob: {} },
  })
  const { nat } = await world.agent('bob').waitFor('a mapped port', status => status.nat.portMapping.tcp !== null)
  t.false(nat.portMapping.verified)
})

rootTest(
  'a router that claims an address which it does not have is found out, and its mappings are not told',
  async t => {
    await using world = await World.start({
      lab: { sites: { bob: { kind: 'eim-apdf', upnp: '44.128.200.200' } } },
      agents: { bob: {} },
    })
    const { nat } = await world
      .agent('bob')
      .waitFor('the problem', ({ nat: { portMapping } }) => /servers see/.test(portMapping.problem ?? ''))
    t.is(nat.portMapping.tcp, null)
    t.is(nat.portMapping.udp, null)
    t.false(nat.portMapping.verified)
  },
)

for (const protocol of ['upnp', 'nat-pmp'] as const) {
  rootTest(`a carrier NAT before a router that speaks ${protocol} is named, and nothing is told`, async t => {
    await using world = await World.start({
      lab: { sites: { bob: { kind: 'carrier', ...PROTOCOLS[protocol] } } },
      agents: { bob: {} },
    })
    const { nat } = await world
      .agent('bob')
      .waitFor('the problem', status => status.nat.carrierNat && status.nat.portMapping.problem !== null)
    t.regex(nat.portMapping.problem ?? '', /behind another NAT.* ask the provider for a public IPv4 address/)
    t.is(nat.portMapping.tcp, null)
    t.is(nat.portMapping.udp, null)
  })
}

rootTest('a router behind a carrier NAT that speaks PCP alone tells no address; its refusal is explained', async t => {
  await using world = await World.start({
    lab: { sites: { bob: { kind: 'carrier', pcp: true } } },
    agents: { bob: {} },
  })
  const { nat } = await world.agent('bob').waitFor('the problem', status => status.nat.portMapping.problem !== null)
  t.regex(nat.portMapping.problem ?? '', /no outside port to give .*; check that the router has a public address/)
  t.is(nat.portMapping.tcp, null)
})

rootTest('two hard NATs connect where a port was forwarded by hand, as the doctor advised', async t => {
  await using world = await World.start({ lab: { sites: { alice: 'edm', bob: 'edm' } }, agents: {} })
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const bob = await world.startAgent('bob')
  const alice = await world.startAgent('alice')
  await bob.waitFor('the advice', ({ nat }) => nat.portMapping.problem?.includes('by hand') === true)
  const { v4, public4 } = world.lab.host('bob').addresses
  for (const protocol of ['tcp', 'udp'] as const) {
    const forward = ['iifname', 'wan', protocol, 'dport', String(bob.ports[protocol]), 'dnat', 'ip', 'to', v4 ?? '']
    await world.lab.site('bob').router.exec('nft', ['add', 'rule', 'inet', 'lab', 'pre', ...forward])
  }
  await bob.client.doctor(undefined)
  const { nat } = await bob.waitFor(
    'both ports',
    ({ nat: { portMapping } }) => portMapping.tcp !== null && portMapping.udp !== null,
  )
  t.is(nat.portMapping.tcp, `${public4}:${bob.ports.tcp}`)
  t.is(nat.portMapping.udp, `${public4}:${bob.ports.udp}`)
  t.like(nat.portMapping, { protocol: 'none', verified: true, problem: null })
  await alice.waitForRelay()
  await alice.client.ping('bob')
  const { path } = await alice.waitForPeer('bob', 'direct over TCP', peer => peer.path?.kind === 'tcp')
  t.is(path?.how, 'mapped')
  const { findings } = await bob.client.doctor(undefined)
  t.regex(findings.find(({ code }) => code === 'port-mapping-made')?.text ?? '', /set by hand.*seen to work/)
})

import test from 'ava'
import { otherAddress, planLab } from './address-plan.ts'
import { natTable } from './nat-rules.ts'
import { miniupnpdConfiguration } from './port-mapper.ts'
import { parseCarrier, parseSite } from './site-argument.ts'

test('carriers are numbered before sites, and a customer has an address of its carrier', t => {
  const plans = planLab({ sites: { alice: { kind: 'edm', via: 'isp' }, bob: 'carrier' }, carriers: { isp: 'eim-eif' } })
  t.deepEqual(
    plans.map(({ name, outside4, via }) => [name, outside4, via?.name ?? null]),
    [
      ['isp', '44.128.0.11', null],
      ['bob.carrier', '44.128.0.12', null],
      ['alice', '100.64.1.13', 'isp'],
      ['bob', '100.64.2.14', 'bob.carrier'],
    ],
  )
})

test('every option that cannot be is refused with its place', t => {
  const refused = (sites: Parameters<typeof planLab>[0]['sites'], message: RegExp) =>
    t.throws(() => planLab({ sites }), { code: 'bad-option', message })
  refused({ Alice: 'none' }, /"Alice": a name is/)
  refused({ relay: 'none' }, /part of every lab/)
  refused({ alice: { kind: 'none', hosts: 2 } }, /has 1 host, not 2/)
  refused({ alice: { kind: 'firewall', upnp: true } }, /needs a NAT/)
  refused({ alice: { kind: 'edm', upnp: 'me' } }, /"me" is not an IPv4 address/)
  refused({ alice: { kind: 'edm', via: 'isp' } }, /"isp" is not among the carriers/)
  refused({ alice: { kind: 'carrier', via: 'isp' } }, /brings its own carrier/)
  refused({ alice: { kind: 'edm', lossPct: { up: 1, down: 101 } } }, /lossPct 101 is not within 0 to 100/)
  refused({ alice: { kind: 'edm', ipv6: 'on', mtu: 1_000 } }, /IPv6 needs an mtu of 1280/)
})

test('another address is never one of the first, and the one after is the old one', t => {
  t.is(otherAddress('44.128.0.15'), '44.128.0.115')
  t.is(otherAddress(otherAddress('44.128.0.15')), '44.128.0.15')
  t.is(otherAddress('44.128.0.110'), '44.128.0.210')
  t.is(otherAddress('44.128.0.111'), '44.128.0.11')
})

test('a router refuses aloud only where it is told to', t => {
  const rules = (nat: object) => {
    const [site] = planLab({ sites: { alice: { kind: 'firewall', ...nat } } })
    return site ? natTable(site, { outside4: site.outside4, epoch: 0 }) : ''
  }
  t.notRegex(rules({}), /reject/)
  t.regex(rules({ unsolicitedTcp: 'reset' }), /iifname "wan" meta nfproto ipv4 meta l4proto tcp reject with tcp reset/)
  t.regex(rules({ unsolicitedUdp: 'reject' }), /udp reject with icmpx port-unreachable/)
})

test('miniupnpd is told the protocols, the description and the address to claim', t => {
  const [site] = planLab({ sites: { alice: { kind: 'edm', upnp: '44.128.9.9', igdVersion: 1, pcp: true } } })
  const text = site ? miniupnpdConfiguration(site) : ''
  for (const line of ['ext_ip=44.128.9.9', 'enable_upnp=yes', 'enable_natpmp=yes', 'force_igd_desc_v1=yes']) {
    t.true(text.split('\n').includes(line), line)
  }
})

test('a site is written as one word on the command line', t => {
  t.deepEqual(parseSite('alice=edm,upnp,igd=1,hosts=2,ipv6=on,loss=1/2.5,preserve-ports=no,via=isp'), [
    'alice',
    {
      kind: 'edm',
      upnp: true,
      igdVersion: 1,
      hosts: 2,
      ipv6: 'on',
      lossPct: { up: 1, down: 2.5 },
      preservePorts: false,
      via: 'isp',
    },
  ])
  t.deepEqual(parseCarrier('isp=edm,udp-timeout=8'), ['isp', { kind: 'edm', udpTimeoutS: 8 }])
  t.throws(() => parseSite('alice'), { code: 'bad-option', message: /not NAME=KIND/ })
  t.throws(() => parseSite('alice=symmetric'), { message: /a kind is one of none, firewall/ })
  t.throws(() => parseSite('alice=edm,dely=4'), { message: /option "dely" is unknown/ })
  t.throws(() => parseSite('alice=edm,delay=soon'), { message: /option "delay" needs a number/ })
  t.throws(() => parseCarrier('isp=firewall'), { message: /not the kind of a carrier/ })
})

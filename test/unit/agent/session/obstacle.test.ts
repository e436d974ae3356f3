import test from 'ava'
import { type Barrier, barrierOf, obstacleBetween, opensTheWay } from '../../../../agent/session/obstacle.ts'
import type { Situation } from '../../../../common/wire/situation.ts'
import { HOME, NO_SITUATION } from '../../../vectors/situations.ts'

/** A side that no router has opened a port for, and none was found to ask. */
const EASY: Situation = { ...HOME, portOpening: 'absent', problem: 'no router here opens ports on request' }
const HARD: Situation = { ...EASY, udp: { mapping: 'address-and-port-dependent', filtering: 'address-dependent' } }
const FIREWALL: Situation = {
  ...EASY,
  udp: { mapping: 'none', filtering: 'address-and-port-dependent' },
  tcp: { mapping: 'none' },
  portOpening: 'not-needed',
}
const OPEN: Situation = { ...FIREWALL, udp: { mapping: 'none', filtering: 'none' } }
const NO_UDP: Situation = { ...EASY, udp: { mapping: 'blocked', filtering: 'blocked' } }
const WEB_ONLY: Situation = { ...NO_UDP, tcp: { mapping: 'blocked' } }

const SIDES: Readonly<Record<Barrier, Situation>> = {
  open: OPEN,
  firewall: FIREWALL,
  easy: EASY,
  hard: HARD,
  'no-udp': NO_UDP,
  'web-only': WEB_ONLY,
  unknown: NO_SITUATION,
}
const BARRIERS = Object.keys(SIDES) as readonly Barrier[]

const SHUT = 'no connection comes in at'
const BOTH = 'both routers use another outside port for every destination'
const PORTS_HERE = 'the router here uses another outside port for every destination'
const PORTS_THERE = 'the router at tv uses another outside port for every destination'
const WEB_HERE = 'the network here lets only web traffic out'
const WEB_THERE = 'the network at tv lets only web traffic out'
const NO_UDP_HERE = 'the network here lets no UDP out'
const NO_UDP_THERE = 'the network at tv lets no UDP out'
const LETS_NONE = 'of the other side in'
const NOT_KNOWN = 'it is not known'

/** What is said of each pair; rows are this side, columns the peer, in the order of BARRIERS. */
const CAUSES: Readonly<Record<Barrier, readonly string[]>> = {
  open: [SHUT, SHUT, SHUT, SHUT, SHUT, WEB_THERE, SHUT],
  firewall: [SHUT, LETS_NONE, LETS_NONE, PORTS_THERE, NO_UDP_THERE, WEB_THERE, 'at tv lets no packet'],
  easy: [SHUT, LETS_NONE, LETS_NONE, PORTS_THERE, NO_UDP_THERE, WEB_THERE, 'at tv lets no packet'],
  hard: [SHUT, PORTS_HERE, PORTS_HERE, BOTH, `${PORTS_HERE}, and ${NO_UDP_THERE}`, WEB_THERE, PORTS_HERE],
  'no-udp': [SHUT, NO_UDP_HERE, NO_UDP_HERE, `${PORTS_THERE}, and ${NO_UDP_HERE}`, NO_UDP_HERE, WEB_THERE, NO_UDP_HERE],
  'web-only': [
    WEB_HERE,
    WEB_HERE,
    WEB_HERE,
    WEB_HERE,
    WEB_HERE,
    'the network here and the network at tv let',
    WEB_HERE,
  ],
  unknown: [SHUT, NOT_KNOWN, NOT_KNOWN, PORTS_THERE, NO_UDP_THERE, WEB_THERE, NOT_KNOWN],
}

for (const own of BARRIERS) {
  for (const [column, theirs] of BARRIERS.entries()) {
    test(`names what stands between ${own} here and ${theirs} there`, t => {
      t.is(barrierOf(SIDES[own]), own)
      const { cause, remedy, gain } = obstacleBetween(SIDES[own], SIDES[theirs], 'tv')
      t.true(cause.includes(CAUSES[own][column] ?? '?'), cause)
      const known = own !== 'unknown' || theirs !== 'unknown'
      t.is(remedy !== null, known, `${remedy}`)
      t.is(gain, known ? 'then tv connects directly' : null)
    })
  }
}

const remedyOf = (own: Situation, theirs: Situation | undefined) => obstacleBetween(own, theirs, 'tv').remedy

test('the own router comes first, with the ports to forward and where to', t => {
  t.is(
    remedyOf(HARD, HARD),
    'turn on UPnP in the router here, or forward TCP 41822 and UDP 41823 to 192.168.1.20 in it ' +
      '(if the router shows another address of its own than the internet sees, ask the provider for a public one, or for IPv6)',
  )
})

test('where a second NAT was found, nobody is sent to forward ports in the first one', t => {
  const problem =
    'the router is not the last one on the way out: a second router, or the NAT of the provider, keeps out what nobody ' +
    'asked for; ask the provider for a public IPv4 address or IPv6, or make the router in front of it a bridge'
  const remedy = remedyOf({ ...EASY, portOpening: 'failed', problem }, HARD)
  t.is(remedy, problem.replace('the router is', 'the router here is'))
})

test('a router that refused is told with its reason', t => {
  const problem =
    'the router refused TCP port 41822: it does not authorize the action (UPnP error 606); allow UPnP in it'
  const refused: Situation = { ...HARD, portOpening: 'failed', problem }
  t.is(
    remedyOf(refused, HARD),
    'the router here refused TCP port 41822: it does not authorize the action (UPnP error 606); ' +
      'allow UPnP in it, or forward TCP 41822 and UDP 41823 to 192.168.1.20 in it',
  )
})

test('what the config turned off is turned on there', t => {
  t.regex(remedyOf({ ...HARD, portOpening: 'off' }, HARD) ?? '', /^set "portMapping" under "nat" to true .* here, or /)
})

test("behind a carrier's NAT the other router is the one that helps", t => {
  const carried: Situation = { ...HARD, carrierNat: true, portOpening: 'behind-nat' }
  t.regex(remedyOf(carried, HARD) ?? '', /^turn on UPnP in the router at tv, or forward TCP 41822 and UDP 41823 to /)
  t.regex(remedyOf(carried, carried) ?? '', /^ask the provider of either side for a public IPv4 address, or for IPv6/)
})

test('a firewall without a NAT is opened, not forwarded', t => {
  t.is(remedyOf(FIREWALL, HARD), 'let TCP 41822 and UDP 41823 in through the firewall here')
})

test('whoever may call only web servers is answered on port 443', t => {
  const [none, easy] = [remedyOf(WEB_ONLY, OPEN), remedyOf(EASY, WEB_ONLY)]
  t.regex(none ?? '', /^let UDP, or TCP to every port, out of the network here, or set "listen": .* 443 .* at tv$/)
  t.regex(easy ?? '', /out of the network at tv, or set .* in the config here and forward TCP 443 to 192\.168\.1\.20$/)
})

test('a port that the router opened and that lets nobody in is not asked for again', t => {
  const mapped: Situation = { ...EASY, portOpening: 'made', problem: '' }
  const { cause, remedy } = obstacleBetween(HARD, mapped, 'tv')
  t.is(cause, 'no connection comes in at tv, though its router has opened a port: something on the way drops it')
  t.is(remedy, 'let TCP 41822 and UDP 41823 in through the firewalls of tv and its provider')
})

test('a peer that tells nothing, as an older one, leaves only the own router to speak of', t => {
  const { cause, remedy } = obstacleBetween(EASY, undefined, 'tv')
  t.is(cause, 'the router or firewall at tv lets no packet of this device in')
  t.regex(remedy ?? '', /router here/)
})

test('what is advised fits what the router did', t => {
  const advised = (problem: string) => remedyOf({ ...HARD, portOpening: 'failed', problem }, HARD) ?? ''
  const forward = 'forward TCP 41822 and UDP 41823 to 192.168.1.20 in it'
  t.is(
    advised(
      'the router refused TCP port 1: it knows no such thing; forward the port by hand in the router, or do without',
    ),
    `the router here refused TCP port 1: it knows no such thing; ${forward}`,
  )
  t.is(
    advised(
      'the router says that it opened TCP port 1, but nothing arrives there; look for a second router, or restart it',
    ),
    'the router here says that it opened TCP port 1, but nothing arrives there; look for a second router, or restart it',
  )
})

test('two that have no IP version in common are told so, whatever else stands between them', t => {
  const six: Situation = { ...FIREWALL, ipVersions: [6] }
  for (const four of [EASY, OPEN, NO_UDP, WEB_ONLY]) {
    const { cause, remedy } = obstacleBetween({ ...four, ipVersions: [4] }, six, 'tv')
    t.is(cause, 'the network here has only IPv4 and the network at tv only IPv6, so neither can send to the other')
    t.is(remedy, 'turn on IPv6 in the router here (ask its provider if it has none), or IPv4 at tv')
  }
  t.regex(obstacleBetween(six, { ...EASY, ipVersions: [4] }, 'tv').cause, /network at tv has only IPv4/)
  for (const ipVersions of [[4, 6], [6], []] as const) {
    t.notRegex(obstacleBetween({ ...EASY, ipVersions }, six, 'tv').cause, /IPv4/)
  }
})

test('opening a port here is said to help only where that is what keeps the two apart', t => {
  for (const theirs of [EASY, HARD, FIREWALL, NO_UDP, undefined]) t.true(opensTheWay(HARD, theirs))
  t.false(opensTheWay(HARD, WEB_ONLY), 'it gets out to the ports of the web only')
  t.false(opensTheWay(WEB_ONLY, HARD))
  t.false(opensTheWay(HARD, OPEN), 'that one is open already')
  t.false(opensTheWay(HARD, { ...HARD, portOpening: 'made' }))
  t.false(opensTheWay({ ...HARD, portOpening: 'made' }, HARD))
  t.false(opensTheWay({ ...HARD, carrierNat: true }, HARD), 'nothing can be opened here')
  t.false(opensTheWay({ ...FIREWALL, ipVersions: [6] }, { ...HARD, ipVersions: [4] }), 'no IP version in common')
  t.true(opensTheWay({ ...FIREWALL, ipVersions: [6] }, { ...HARD, ipVersions: [4, 6] }))
})

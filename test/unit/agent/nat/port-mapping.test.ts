import test from 'ava'
import type { PortMapping } from '../../../../agent/nat/port-mapper.ts'
import { advancePortMapping, nextPortMappingAt, startPortMapping } from '../../../../agent/nat/port-mapping.ts'
import { mappable, portMappingReport } from '../../../../agent/nat/port-mapping-report.ts'
import type {
  MappedProtocol,
  PortMappingAction,
  PortMappingEvent,
  PortMappingState,
} from '../../../../agent/nat/port-mapping-state.ts'

const PORTS = { tcp: 4000, udp: 4001 }
const FOUND = {
  name: 'found',
  address: '192.168.1.1',
  external: { kind: 'address', address: '198.51.100.7' },
  checkCost: 'datagram',
} as const

/** Plays events into the machine and remembers what it wanted. */
class Play {
  state: PortMappingState
  now = 0
  actions: readonly PortMappingAction[]

  constructor(wanted?: ReadonlySet<MappedProtocol>) {
    const first = startPortMapping(0, wanted)
    this.state = first.state
    this.actions = first.actions
  }

  on(event: PortMappingEvent, afterMs = 0): readonly string[] {
    this.now += afterMs
    const next = advancePortMapping(this.state, event, this.now)
    this.state = next.state
    this.actions = next.actions
    return next.actions.map(action =>
      action.name === 'ask' ? `ask ${action.protocol} ${action.wasPort}` : action.name,
    )
  }

  /** Goes to the next moment at which something is due. */
  tick(): readonly string[] {
    this.now = nextPortMappingAt(this.state)
    return this.on({ name: 'tick' })
  }

  grant(protocol: 'tcp' | 'udp', leaseS = 3600, externalPort = PORTS[protocol]): readonly string[] {
    const mapping: PortMapping = { protocol, internalPort: PORTS[protocol], externalPort, leaseS }
    return this.on({ name: 'answered', protocol, outcome: { kind: 'granted', mapping } })
  }

  refuse(protocol: 'tcp' | 'udp', kind: 'refused' | 'no-answer'): readonly string[] {
    return this.on({ name: 'answered', protocol, outcome: { kind, message: 'because' } })
  }

  report() {
    return portMappingReport(this.state, 'upnp', PORTS)
  }
}

function mapped(): Play {
  const play = new Play()
  play.on(FOUND)
  play.grant('tcp')
  play.grant('udp')
  return play
}

test('it searches, asks for both ports, and reports them at the outside address', t => {
  const play = new Play()
  t.deepEqual(play.actions, [{ name: 'search' }])
  t.deepEqual(play.on(FOUND), ['ask tcp undefined', 'ask udp undefined'])
  play.grant('tcp')
  play.grant('udp', 3600, 5555)
  t.deepEqual(play.report(), {
    protocol: 'upnp',
    externalAddress: '198.51.100.7',
    tcp: { address: '198.51.100.7', port: 4000 },
    udp: { address: '198.51.100.7', port: 5555 },
    between: undefined,
    problem: undefined,
  })
})

test('a mapping is renewed at half its lease, at the port it has, and told all the while', t => {
  const play = mapped()
  for (let i = 0; i < 20; i++) {
    const wanted = play.tick()
    if (wanted.includes('check')) play.on({ name: 'checked', result: 'kept' })
    if (!wanted.includes('ask tcp 4000')) continue
    t.is(play.now, 1_800_000)
    t.deepEqual(play.report().tcp, { address: '198.51.100.7', port: 4000 })
    return
  }
  t.fail('it was never renewed')
})

test('a permanent mapping is asserted every half hour and never ends', t => {
  const play = new Play()
  play.on(FOUND)
  play.grant('tcp', 0)
  t.like(play.state.tcp, { name: 'kept', renewAt: 1_800_000, endsAt: Number.POSITIVE_INFINITY })
})

test('no router: the search is repeated after 5, 10, 20 s and so on to half an hour, and the report says what to do', t => {
  const play = new Play()
  const waits: number[] = []
  for (let i = 0; i < 12; i++) {
    play.on({ name: 'not-found' })
    const before = play.now
    t.deepEqual(play.tick(), ['search'])
    waits.push((play.now - before) / 1000)
  }
  t.deepEqual(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800])
  play.on({ name: 'not-found' })
  t.regex(play.report().problem ?? '', /turn UPnP on .* TCP port 4000 and UDP port 4001/)
})

test('a private or a carrier address is named; what is open there is told apart, and the address asked after again', t => {
  for (const address of ['192.168.0.2', '100.64.3.4', '10.0.0.1']) {
    const play = new Play()
    t.deepEqual(play.on({ ...FOUND, external: { kind: 'address', address } }), [
      'ask tcp undefined',
      'ask udp undefined',
    ])
    play.grant('tcp')
    play.refuse('udp', 'refused')
    t.regex(play.report().problem ?? '', /behind another NAT/)
    t.is(play.report().tcp, undefined)
    t.deepEqual(play.report().between, { address, tcp: { address, port: 4000 }, udp: undefined })
    for (let wanted = play.tick(); !wanted.includes('search'); wanted = play.tick()) play.refuse('udp', 'refused')
    t.is(play.now, 600_000)
  }
})

test('a refusal is reported and tried again after 1, 2, 4 min and so on to an hour', t => {
  const play = new Play()
  play.on(FOUND)
  play.grant('udp')
  play.on({ name: 'news', kind: 'alive', address: FOUND.address, life: 'a' }, 20_000)
  const waits: number[] = []
  for (let i = 0; i < 8; i++) {
    play.refuse('tcp', 'refused')
    t.is(play.report().problem, 'because')
    const before = play.now
    for (let wanted = play.tick(); !wanted.includes('ask tcp undefined'); wanted = play.tick()) {
      if (wanted.includes('check')) play.on({ name: 'checked', result: 'kept' })
      if (wanted.includes('ask udp 4001')) play.grant('udp')
    }
    waits.push((play.now - before) / 60_000)
  }
  t.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60])
})

test('a router that does not answer is searched for again, without asking in a circle', t => {
  const play = new Play()
  play.on(FOUND)
  play.grant('udp')
  t.deepEqual(play.refuse('tcp', 'no-answer'), ['search'])
  t.deepEqual(play.on(FOUND), ['ask udp 4001'], 'the one that failed waits')
  play.grant('udp')
  t.deepEqual(play.tick(), ['ask tcp undefined'])
  t.is(play.now, 15_000)
})

test('a restart that is announced recreates the mappings at their ports at once', t => {
  const play = mapped()
  const alive = (life: string) => ({ name: 'news', kind: 'alive', address: FOUND.address, life }) as const
  t.deepEqual(play.on(alive('boot 1'), 20_000), ['check'], 'the first word is checked')
  play.on({ name: 'checked', result: 'kept' })
  t.deepEqual(play.on(alive('boot 1'), 1000), [])
  t.deepEqual(play.on(alive('boot 2'), 1000), ['search'])
  t.deepEqual(play.on(FOUND), ['ask tcp 4000', 'ask udp 4001'])
})

test('a farewell starts a search, and the next sign of life another', t => {
  const play = mapped()
  t.deepEqual(play.on({ name: 'news', kind: 'byebye', address: FOUND.address, life: undefined }, 20_000), ['search'])
  play.on({ name: 'not-found' }, 2500)
  t.is(play.report().tcp, undefined)
  const alive = { name: 'news', kind: 'alive', address: FOUND.address, life: 'boot 2' } as const
  t.deepEqual(play.on(alive, 500), ['search'])
  t.deepEqual(play.on(FOUND), ['ask tcp 4000', 'ask udp 4001'])
})

test('news about other devices, or in the first ten seconds, changes nothing', t => {
  const play = mapped()
  t.deepEqual(play.on({ name: 'news', kind: 'byebye', address: FOUND.address, life: undefined }, 9999), [])
  t.deepEqual(play.on({ name: 'news', kind: 'byebye', address: '192.168.1.66', life: undefined }, 9999), [])
})

test('a restart that is not announced is seen by the next look', t => {
  const play = mapped()
  t.deepEqual(play.tick(), ['check'])
  t.is(play.now, 90_000)
  t.deepEqual(play.on({ name: 'checked', result: 'lost' }), ['search'])
  t.deepEqual(play.on(FOUND), ['ask tcp 4000', 'ask udp 4001'])
})

test('one look without answer is repeated after ten seconds, two start a search', t => {
  const play = mapped()
  play.tick()
  t.deepEqual(play.on({ name: 'checked', result: 'no-answer' }), [])
  t.deepEqual(play.tick(), ['check'])
  t.is(play.now, 100_000)
  t.deepEqual(play.on({ name: 'checked', result: 'no-answer' }), ['search'])
})

test('on another network the new router is asked afresh and the old address is told no more', t => {
  const play = mapped()
  t.deepEqual(play.on({ name: 'network' }), ['search'])
  const other = { ...FOUND, address: '10.1.1.1', external: { kind: 'address', address: '203.0.113.5' } } as const
  t.deepEqual(play.on(other), ['ask tcp 4000', 'ask udp 4001'])
  t.is(play.report().tcp, undefined)
  play.grant('tcp')
  t.deepEqual(play.report().tcp, { address: '203.0.113.5', port: 4000 })
})

test('an outside address that comes with the mapping is told, and a carrier one named', t => {
  const play = new Play()
  t.deepEqual(play.on({ ...FOUND, external: { kind: 'untold' } }), ['ask tcp undefined', 'ask udp undefined'])
  t.is(play.report().externalAddress, undefined)
  const grant = (protocol: 'tcp' | 'udp', externalAddress: string) => {
    const ports = { internalPort: PORTS[protocol], externalPort: PORTS[protocol] }
    const mapping: PortMapping = { protocol, ...ports, externalAddress, leaseS: 3600 }
    return play.on({ name: 'answered', protocol, outcome: { kind: 'granted', mapping } })
  }
  grant('tcp', '198.51.100.7')
  t.deepEqual(play.report().tcp, { address: '198.51.100.7', port: 4000 })
  grant('udp', '100.64.9.9')
  t.is(play.report().tcp, undefined)
  t.regex(play.report().problem ?? '', /100\.64\.9\.9: it stands behind another NAT/)
})

test('an announcement of our router is a reason to look, once in two seconds', t => {
  const play = mapped()
  const announced = { name: 'news', kind: 'announced', address: FOUND.address, life: undefined } as const
  t.deepEqual(play.on(announced, 5_000), [], 'it may be about the start that we found it after')
  t.deepEqual(play.on(announced, 15_000), ['check'])
  t.deepEqual(play.on(announced, 10), [], 'a look is under way')
  play.on({ name: 'checked', result: 'kept' })
  t.deepEqual(play.on(announced, 500), [])
  t.deepEqual(play.on(announced, 2_000), ['check'])
})

test('a lease of seconds is renewed at half of it, but not more often than every five seconds', t => {
  const play = new Play()
  play.on(FOUND)
  play.grant('tcp', 30)
  t.like(play.state.tcp, { name: 'kept', renewAt: 15_000, endsAt: 30_000 })
  play.grant('udp', 2)
  t.like(play.state.udp, { name: 'kept', renewAt: 5_000 })
})

test('a lease of 136 years is renewed after half a day, as no timer waits for longer than 24 days', t => {
  const play = new Play()
  play.on(FOUND)
  play.grant('tcp', 0xffff_ffff)
  t.is(play.state.tcp.name === 'kept' && play.state.tcp.renewAt, 43_200_000)
})

test('a router that says for how long it will refuse is not asked before', t => {
  const play = new Play()
  play.on(FOUND)
  const outcome = { kind: 'refused', message: 'because', againS: 1800 } as const
  play.on({ name: 'answered', protocol: 'tcp', outcome })
  t.like(play.state.tcp, { name: 'waiting', askAt: 1_800_000 })
})

test('a port below 1024 is not asked for, and its owner is told what to do; the other one is', t => {
  const ports = { tcp: 443, udp: 4001 }
  const play = new Play(mappable(ports))
  t.deepEqual(play.on(FOUND), ['ask udp undefined'])
  play.grant('udp')
  for (let i = 0; i < 50; i++) {
    const wanted = play.tick()
    t.false(wanted.some(action => action.startsWith('ask tcp')))
    if (wanted.includes('check')) play.on({ name: 'checked', result: 'kept' })
    if (wanted.includes('ask udp 4001')) play.grant('udp')
  }
  play.on({ name: 'network' })
  t.deepEqual(play.on({ ...FOUND, address: '192.168.2.1' }), ['ask udp 4001'])
  play.grant('udp')
  const { tcp, udp, problem } = portMappingReport(play.state, 'pcp', ports)
  t.is(tcp, undefined)
  t.deepEqual(udp, { address: '198.51.100.7', port: 4001 })
  t.regex(problem ?? '', /TCP port 443, because routers open ports from 1024 only; forward TCP port 443 .*"tcp" under/)
})

test('a router that each question silences is asked less and less, though it comes back in between', t => {
  const play = new Play(new Set(['udp'] as const))
  play.on(FOUND)
  let asked = 1
  while (play.now < 4 * 3_600_000) {
    play.refuse('udp', 'no-answer')
    play.on({ name: 'not-found' }, 2_000)
    t.deepEqual(play.tick(), ['search'])
    t.deepEqual(play.on(FOUND), [])
    while (!play.tick().includes('ask udp undefined')) play.on({ name: 'checked', result: 'kept' })
    asked++
  }
  t.true(asked <= 13, `${asked} questions in four hours`)
  play.refuse('udp', 'no-answer')
  play.on({ name: 'not-found' })
  t.deepEqual(play.on({ ...FOUND, address: '192.168.2.1' }), ['ask udp undefined'], 'another router is asked at once')
})

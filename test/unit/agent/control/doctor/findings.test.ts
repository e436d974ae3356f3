import { readFileSync } from 'node:fs'
import test from 'ava'
import { FINDING_CODES, type Finding, isHealthy } from '../../../../../agent/control/doctor/finding.ts'
import { dhtFinding, hostFindings, lanFinding } from '../../../../../agent/control/doctor/host-findings.ts'
import { natFindings, withoutWitness } from '../../../../../agent/control/doctor/nat-findings.ts'
import { failedWay, peerFinding } from '../../../../../agent/control/doctor/peer-findings.ts'
import { clockFinding, relayFindings } from '../../../../../agent/control/doctor/relay-findings.ts'
import { serviceFindings } from '../../../../../agent/control/doctor/service-findings.ts'
import { trustFindings } from '../../../../../agent/control/doctor/trust-findings.ts'
import type { PeerStatus } from '../../../../../agent/control/status.ts'
import { RELAY_STEPS, type RelayCheck } from '../../../../../agent/rendezvous/relay-check.ts'
import type { Situation } from '../../../../../common/wire/situation.ts'
import { HOME, NO_SITUATION } from '../../../../vectors/situations.ts'
import { SAMPLE_REPORT } from '../sample-report.ts'
import { SAMPLE_STATUS } from '../sample-status.ts'

const codesOf = (findings: readonly Finding[]) => findings.map(({ code, severity }) => `${code} ${severity}`)

const RELAY = 'https://relay.example.org'
const GOOD: RelayCheck = {
  url: RELAY,
  addresses: ['203.0.113.9'],
  nameMs: 3.21,
  tcpMs: 20,
  tlsMs: null,
  answerMs: 21,
  clockOffsetMs: 400,
  largePackets: 'passed',
  failedAt: null,
  reason: null,
}
const LINE = { url: RELAY, state: 'connected', rttMs: 21, lastError: null } as const

test('a local network that is not heard is told of, with what holds its port', t => {
  t.deepEqual(
    (['off', 'unknown', 'answers', 'silent'] as const).map(state => codesOf(dhtFinding(state))),
    [[], [], ['dht-answers ok'], ['dht-silent note']],
  )
  t.deepEqual(lanFinding(undefined), [])
  const [found] = lanFinding({ interfaceName: 'eth0', reason: 'bind EADDRINUSE 224.0.0.251:5353' })
  t.is(found?.severity, 'note')
  t.regex(`${found?.text} ${found?.remedy}`, /eth0.*EADDRINUSE.*ss -ulpn/)
})

test('a relay that can be reached is told with the time of each step', t => {
  const [found] = relayFindings([GOOD], [LINE])
  t.like(found, { code: 'relay-reachable', severity: 'ok', subject: RELAY })
  t.is(found?.text, 'it can be reached (name 3.2 ms, TCP 20.0 ms, answer 21.0 ms)')
})

test('a relay that only small packets get to is a problem of the line, with both remedies', t => {
  const [found] = relayFindings([{ ...GOOD, largePackets: 'lost' }], [LINE])
  t.like(found, { code: 'relay-large-packets-lost', severity: 'problem', subject: RELAY })
  t.regex(found?.remedy ?? '', /MSS clamping in the router .* or let the host of the relay/)
  t.is(relayFindings([{ ...GOOD, largePackets: null }], [LINE])[0]?.code, 'relay-reachable')
})

test('each step at which a relay can fail has its code, its reason and a remedy', t => {
  const found = relayFindings(
    RELAY_STEPS.map(failedAt => ({ ...GOOD, failedAt, reason: 'so it is' })),
    [],
  )
  t.deepEqual(codesOf(found), [
    'relay-name-unknown problem',
    'relay-unreachable problem',
    'relay-tls-failed problem',
    'relay-not-a-relay problem',
    'relay-not-a-relay problem',
    'relay-id-wrong problem',
  ])
  for (const { text, remedy } of found) {
    t.regex(text, /: so it is$/)
    t.truthy(remedy)
  }
})

test('a reason that brings its remedy needs no other', t => {
  const reason =
    'relay r: its certificate is for a.example, not for b.example; write a name on it into the "url" of this relay'
  const [found] = relayFindings([{ ...GOOD, failedAt: 'tls', reason }], [])
  t.regex(found?.text ?? '', /^TLS to it fails: .*not for b\.example$/)
  t.is(found?.remedy, 'write a name on it into the "url" of this relay')
})

test('what fails now is no problem while the old line still stands', t => {
  t.deepEqual(codesOf(relayFindings([{ ...GOOD, failedAt: 'name', reason: 'ENOTFOUND' }], [LINE])), [
    'relay-name-unknown note',
  ])
})

test('a relay that refuses this device is told from one that is not there', t => {
  const refused = { ...LINE, state: 'refused', lastError: 'relay r refuses us: not admitted' } as const
  const [found] = relayFindings([GOOD], [refused])
  t.like(found, { code: 'relay-refused', severity: 'problem' })
  t.regex(found?.text ?? '', /not admitted/)
  t.deepEqual(codesOf(relayFindings([], [])), ['relay-none note'])
})

test('what mends a refusal depends on what was refused, and a line that merely does not stand is none', t => {
  const foundFor = (lastError: string, state: 'refused' | 'connecting' = 'refused') =>
    relayFindings([GOOD], [{ ...LINE, state, lastError }])[0]
  const network = `${'a'.repeat(52)}`
  for (const [why, remedy] of [
    ['r refuses us: not-authorized: this device was removed from its network', /a new join code/],
    ['r refuses us: not-authorized: no membership counts here: it ended at 2026-11-26', /let this device in anew/],
    [
      `r refuses us: not-authorized: this relay does not admit the network ${network}; its owner`,
      /admit the network a{52}$/,
    ],
    ['r refuses us: not-authorized: this relay does not admit k5x; its owner', /culvert id/],
    ['another machine runs with the same identity', /identity of its own/],
  ] as const) {
    t.regex(foundFor(why)?.remedy ?? '', remedy)
    t.is(foundFor(why, 'connecting')?.code, /refuses us|same identity/.test(why) ? 'relay-refused' : undefined)
  }
  t.like(foundFor('relay r is asked and does not answer', 'connecting'), {
    code: 'relay-unreachable',
    severity: 'note',
  })
})

const NOW = 1.7e12

test('a clock that is decades behind is a problem, and one that is a minute off is none', t => {
  t.is(clockFinding([{ ...GOOD, clockOffsetMs: null }], NOW), undefined)
  t.like(clockFinding([{ ...GOOD, clockOffsetMs: 60_000 }], NOW), { code: 'clock-right', severity: 'ok' })
  const found = clockFinding([{ ...GOOD, clockOffsetMs: 56.9 * 365.25 * 86_400_000 }], NOW)
  t.like(found, { code: 'clock-wrong', severity: 'problem', text: "the clock here is 56 years behind the relay's" })
  t.is(
    clockFinding([{ ...GOOD, clockOffsetMs: -3_600_000 }], NOW)?.text,
    "the clock here is 1 hour ahead of the relay's",
  )
})

test('a clock that was never set is a problem also where no relay tells the time', t => {
  const found = clockFinding([{ ...GOOD, clockOffsetMs: null }], 86_400_000)
  t.like(found, { code: 'clock-unset', severity: 'problem', text: 'the clock here was never set: it says 1970-01-02' })
})

test('of two relays the one that agrees with this clock is believed', t => {
  t.is(clockFinding([{ ...GOOD, clockOffsetMs: 9e9 }, GOOD], NOW)?.code, 'clock-right')
})

const { nat } = SAMPLE_STATUS
const context = (relayed: readonly string[]) => {
  return { relayed, reach: undefined, filteringGuessed: false, outOfReach: false, noNetwork: false }
}
const HARD: Situation = { ...HOME, udp: { mapping: 'address-and-port-dependent', filtering: 'address-dependent' } }

test('each kind of network has its code', t => {
  const first = (own: Situation, relayed: readonly string[] = []) => codesOf(natFindings(own, nat, context(relayed)))[0]
  const natless = (filtering: Situation['udp']['filtering']): Situation => ({
    ...HOME,
    udp: { mapping: 'none', filtering },
    portOpening: 'not-needed',
  })
  const blocked = { mapping: 'blocked', filtering: 'blocked' } as const
  t.is(first(natless('none')), 'nat-none ok')
  t.is(first(natless('address-and-port-dependent')), 'nat-firewall ok')
  t.is(first(natless('address-and-port-dependent'), ['tv']), 'nat-firewall note')
  t.is(first(HOME), 'nat-endpoint-independent ok')
  t.is(first(HARD), 'nat-address-dependent note')
  t.is(first({ ...HOME, udp: blocked }), 'udp-blocked note')
  t.is(first({ ...HOME, udp: blocked, tcp: { mapping: 'blocked' } }), 'web-only note')
  t.is(first(NO_SITUATION), 'nat-unknown note')
})

test('silence over UDP is the doing of the network only where something else came through', t => {
  const blocked = { mapping: 'blocked', filtering: 'blocked' } as const
  const silent: Situation = { ...HOME, udp: blocked, tcp: { mapping: 'blocked' } }
  const code = (seen: Situation, online: boolean) =>
    natFindings(withoutWitness(seen, online), nat, context([])).map(found => found.code)[0]
  t.is(code(silent, false), 'nat-unknown')
  t.is(code({ ...silent, tcp: { mapping: 'unknown' } }, false), 'nat-unknown')
  t.is(code({ ...silent, tcp: HOME.tcp }, false), 'udp-blocked')
  t.is(code(silent, true), 'web-only')
})

test('what one STUN address cannot tell is said to be a guess', t => {
  const natless: Situation = { ...HOME, udp: { mapping: 'none', filtering: 'address-dependent' } }
  const [found] = natFindings(natless, nat, { ...context(['tv']), filteringGuessed: true })
  t.like(found, { code: 'nat-firewall', severity: 'ok' })
  t.regex(found?.text ?? '', /maybe a firewall.*cannot tell/)
  t.regex(found?.remedy ?? '', /stun\.addresses/)
})

test('a router that refuses ports is told with its reason, the ports and who would gain', t => {
  const problem =
    'the router refused TCP port 41822: it does not authorize the action (UPnP error 606); allow UPnP in it'
  const refused: Situation = { ...HARD, portOpening: 'failed', problem }
  const found = natFindings(refused, nat, context(['laptop'])).at(-1)
  t.like(found, {
    code: 'port-mapping-failed',
    severity: 'note',
    text: 'the router here refused TCP port 41822: it does not authorize the action (UPnP error 606)',
    remedy: 'allow UPnP in it, or forward TCP 41822 and UDP 41823 to 192.168.1.20 in it',
    gain: 'then laptop connects directly',
  })
  const gain = (relayed: readonly string[]) => natFindings(refused, nat, context(relayed)).at(-1)?.gain
  t.is(gain(['a', 'b', 'c', 'd', 'e']), 'then a, b, c and 2 more connect directly')
  t.is(gain([]), 'then peers behind any router connect directly')
})

test("a carrier's NAT is told, and that ports of the own router lead nowhere", t => {
  const carried: Situation = { ...HOME, carrierNat: true, portOpening: 'behind-nat' }
  t.deepEqual(codesOf(natFindings(carried, nat, context([]))), ['nat-endpoint-independent ok', 'carrier-nat note'])
})

test('a port that was opened is told, and whether it was seen to work', t => {
  const made: Situation = { ...HOME, portOpening: 'made', problem: '' }
  const verified = { ...nat, portMapping: { ...nat.portMapping, verified: true } }
  t.is(codesOf(natFindings(made, nat, context([])))[1], 'port-mapping-unverified ok')
  t.is(codesOf(natFindings(made, verified, context([])))[1], 'port-mapping-made ok')
  const problem = 'the router is not asked to open TCP port 443; forward it by hand'
  const half = { ...nat, portMapping: { ...verified.portMapping, tcp: null, problem } }
  const [, opened, other] = natFindings(made, half, context([]))
  t.is(opened?.code, 'port-mapping-made')
  t.like(other, { code: 'port-mapping-failed', severity: 'note', remedy: 'forward it by hand' })
})

test('a port that was forwarded by hand is told, and one that should be and is not', t => {
  const made: Situation = { ...HOME, portOpening: 'made', problem: '' }
  const portMapping = {
    ...nat.portMapping,
    protocol: 'none',
    tcp: '203.0.113.5:41822',
    udp: null,
    verified: true,
  } as const
  const text = natFindings(made, { ...nat, portMapping }, context([]))[1]?.text
  t.is(text, 'a port forward set by hand leads TCP 203.0.113.5:41822 to this device, and it was seen to work')

  const absent: Situation = { ...HARD, portOpening: 'absent', problem: 'no router here opens ports on request' }
  const reach = { endpoint: { address: '203.0.113.5', port: 41822 }, verdict: 'unreached', forward: true } as const
  const found = natFindings(absent, nat, { ...context([]), reach })
  t.deepEqual(codesOf(found), ['nat-address-dependent note', 'port-mapping-absent note'])
  t.regex(found[1]?.text ?? '', /no port forwarded by hand leads here: a relay tried TCP 203\.0\.113\.5:41822/)
})

test('a router that takes another port for every destination is no fault where a port is open in it and was seen to work', t => {
  const made: Situation = { ...HARD, portOpening: 'made', problem: '' }
  const mapped = (verified: boolean) => ({ ...nat, portMapping: { ...nat.portMapping, verified, problem: null } })
  const found = natFindings(made, mapped(true), context([]))
  t.deepEqual(codesOf(found), ['nat-address-dependent ok', 'port-mapping-made ok'])
  t.regex(found[0]?.text ?? '', /does no harm: peers come in at the port that is open in it$/)
  t.is(codesOf(natFindings(made, mapped(false), context([])))[0], 'nat-address-dependent note')
})

test('a device that has only IPv6 is not promised peers behind any router', t => {
  const refused: Situation = { ...HARD, portOpening: 'failed', problem: 'the router refused', ipVersions: [6] }
  t.is(natFindings(refused, nat, context([])).at(-1)?.gain, 'then peers that have IPv6 connect directly')
})

test('what a relay saw that looked from outside is told, and nothing where none could look', t => {
  const endpoint = { address: '203.0.113.5', port: 41822 }
  const looked = (verdict: 'reached' | 'unreached' | 'unknown') =>
    natFindings(HOME, nat, { ...context([]), reach: { endpoint, verdict } }).filter(({ code }) =>
      code.endsWith('reachable'),
    )
  t.like(looked('reached')[0], { code: 'reachable', severity: 'ok' })
  t.like(looked('unreached')[0], { code: 'unreachable', severity: 'note' })
  t.regex(looked('unreached')[0]?.remedy ?? '', /let TCP 41822 in/)
  t.deepEqual(looked('unknown'), [])
})

const HOST = {
  files: { limit: 20_000, open: 40 },
  listening: true,
  tcpPort: 41822,
  mtu: { interfaceName: 'eth0', bytes: 1500 },
  addresses: [],
}

test('a machine that is short of nothing has no problem', t => {
  t.deepEqual(codesOf(hostFindings(HOST)), ['file-limit-enough ok', 'listening ok', 'ipv6-missing ok'])
})

test('few files, a closed port and small packets are told', t => {
  const poor = {
    ...HOST,
    files: { limit: 256, open: 40 },
    listening: false,
    mtu: { interfaceName: 'tun0', bytes: 1124 },
  }
  t.deepEqual(codesOf(hostFindings(poor)), [
    'file-limit-low note',
    'listening-failed problem',
    'ipv6-missing ok',
    'mtu-small note',
  ])
  t.is(codesOf(hostFindings({ ...HOST, files: { limit: 1000, open: 900 } }))[0], 'file-limit-low problem')
  t.is(codesOf(hostFindings({ ...HOST, files: undefined }))[0], 'listening ok')
})

test('a peer that is away is a problem only for who asks after it', t => {
  const [laptop] = SAMPLE_STATUS.peers
  if (!laptop) return t.fail('no peer')
  const examined = (more: Partial<PeerStatus>) => ({
    status: { ...laptop, ...more },
    ways: [],
    here: HARD,
    there: HARD,
    silent: false,
  })
  const codes = (more: Partial<PeerStatus>) =>
    [false, true].map(asked => codesOf([peerFinding(examined(more), asked)])[0])
  t.deepEqual(codes({}), ['peer-direct ok', 'peer-direct ok'])
  t.deepEqual(codes({ path: null, state: 'offline' }), ['peer-offline note', 'peer-offline problem'])
  t.deepEqual(codes({ path: null, state: 'refused' }), ['peer-refused problem', 'peer-refused problem'])
  t.deepEqual(codes({ path: null, state: 'idle' }), ['peer-idle ok', 'peer-idle ok'])
  t.deepEqual(codes({ path: null, state: 'idle', remedy: 'mend the relay' }), ['peer-idle note', 'peer-idle note'])
  const relay = {
    kind: 'relay',
    transport: 'pipe',
    how: 'relay',
    local: null,
    remote: null,
    via: null,
    rttMs: 1,
    sinceS: 1,
  } as const
  const relayed = peerFinding(examined({ path: relay, remedy: 'something' }), true)
  t.like(relayed, { code: 'peer-relayed', severity: 'note', gain: 'then laptop connects directly' })
  t.is(peerFinding(examined({ path: relay, remedy: null }), true).gain, null)
})

test('a path that nothing comes over any more is never called good', t => {
  const [laptop] = SAMPLE_STATUS.peers
  if (!laptop?.path) return t.fail('no peer with a path')
  const examined = { status: laptop, ways: [], here: HOME, there: HOME, silent: true }
  t.deepEqual(codesOf([peerFinding(examined, false), peerFinding(examined, true)]), [
    'peer-silent note',
    'peer-silent problem',
  ])
  t.regex(peerFinding(examined, true).remedy ?? '', /line of this device is up/)
})

test('where UDP is blocked, a way over UDP that failed says so, on whichever side it is', t => {
  const muted: Situation = { ...HOME, udp: { mapping: 'blocked', filtering: 'blocked' } }
  const reason = 'no pair of UDP ports answered'
  t.is(failedWay('udp', reason, muted, HOME).reason, 'this network lets no UDP out')
  t.is(failedWay('udp', reason, HOME, muted).reason, 'the network of the peer lets no UDP out')
  t.is(failedWay('udp', reason, HOME, null).reason, reason)
  t.is(failedWay('tcp/punched', 'no answer', muted, HOME).reason, 'no answer')
})

test('a device that has only another IP version than the STUN servers is told so, and not that its network is blocked', t => {
  const [found] = natFindings(NO_SITUATION, nat, { ...context([]), outOfReach: true })
  t.is(found?.code, 'nat-unknown')
  t.regex(found?.text ?? '', /no relay tells a STUN server of an IP version that this device has/)
  t.regex(found?.remedy ?? '', /"stun\.addresses"/)
})

test('a device without any network is told that, and nothing of relays', t => {
  const [found] = natFindings(NO_SITUATION, nat, { ...context([]), outOfReach: true, noNetwork: true })
  t.like(found, { code: 'link-down', severity: 'problem' })
  t.regex(found?.text ?? '', /this device has no network/)
})

test('a stranger that called is told with what to add, and so is that there are no peers', t => {
  const strangers = [{ id: 'e'.repeat(52), agoS: 5 }]
  const [called] = trustFindings({ ...SAMPLE_STATUS, strangers })
  t.like(called, { code: 'stranger-called', severity: 'note' })
  t.regex(called?.remedy ?? '', /"NAME": \{ "id": "e{52}" \}/)
  t.deepEqual(codesOf(trustFindings({ peers: [], strangers: [], network: null })), ['peers-none note'])
  t.deepEqual(trustFindings({ ...SAMPLE_STATUS, strangers: [] }), [])
})

test('a network that this device is out of is a problem, and a roster that was damaged is told', t => {
  const { network } = SAMPLE_STATUS
  if (!network) return t.fail('the sample has no network')
  const codes = (change: Partial<typeof network>) =>
    codesOf(trustFindings({ ...SAMPLE_STATUS, strangers: [], network: { ...network, ...change } }))
  t.deepEqual(codes({ standing: 'removed', problem: 'out' }), ['network-out problem'])
  t.deepEqual(codes({ problem: 'damaged' }), ['network-damaged note'])
})

test('a forward that does not listen is a problem; one whose last use failed, and a target that refuses, are told', t => {
  const [forward] = SAMPLE_STATUS.forwards
  if (!forward) throw new RangeError('the sample status has forwards')
  const service = { name: 'ssh', target: { kind: 'tcp', host: '127.0.0.1', port: 22 }, allow: [] } as const
  const failed = { ...forward, state: 'failed', problem: 'the port is taken' } as const
  const found = serviceFindings(
    [{ service, why: 'ECONNREFUSED' }],
    [forward, failed, { ...forward, lastFailure: null }],
  )
  t.deepEqual(codesOf(found), ['service-down note', 'forward-unanswered note', 'forward-failed problem'])
  t.regex(found[1]?.text ?? '', /failed 1 min ago: nobody is there/)
})

test('healthy is what has no problem, whatever could be better', t => {
  t.false(SAMPLE_REPORT.healthy)
  t.true(isHealthy(SAMPLE_REPORT.findings.filter(({ severity }) => severity !== 'problem')))
})

test('the document of doctor --json has these fields and no others', t => {
  const shapeOf = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.length > 0 ? [shapeOf(value[0])] : []
    if (typeof value !== 'object' || value === null) return '.'
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]))
  }
  const path = { kind: '.', transport: '.', how: '.', local: '.', remote: '.', via: '.', rttMs: '.', sinceS: '.' }
  const situation = {
    udp: { mapping: '.', filtering: '.' },
    tcp: { mapping: '.' },
    carrierNat: '.',
    portOpening: '.',
    problem: '.',
    ports: { tcp: '.', udp: '.' },
    lanAddress: '.',
    ipVersions: ['.'],
  }
  t.deepEqual(shapeOf(SAMPLE_REPORT), {
    agent: '.',
    peer: { id: '.', name: '.' },
    version: '.',
    tookMs: '.',
    findings: [{ code: '.', severity: '.', subject: '.', text: '.', remedy: '.', gain: '.' }],
    nat: {
      udp: { mapping: '.', filtering: '.', address: '.' },
      seenAgoS: '.',
      tcp: { mapping: '.', address: '.' },
      carrierNat: '.',
      portMapping: { protocol: '.', tcp: '.', udp: '.', verified: '.', problem: '.' },
      probeBudget: { entries: '.', peakEntries: '.', packets: '.', limit: '.' },
    },
    relays: [
      {
        url: '.',
        addresses: ['.'],
        nameMs: '.',
        tcpMs: '.',
        tlsMs: '.',
        answerMs: '.',
        clockOffsetMs: '.',
        largePackets: '.',
        failedAt: '.',
        reason: '.',
      },
    ],
    peers: [
      {
        id: '.',
        name: '.',
        state: '.',
        path,
        why: '.',
        remedy: '.',
        ways: [{ way: '.', result: '.', reason: '.' }],
        here: situation,
        there: '.',
      },
    ],
    healthy: '.',
  })
})

const words = readFileSync(new URL('../../../../../docs/json.md', import.meta.url), 'utf8')

test('every field of status is documented', t => {
  const documented = new Set([...words.matchAll(/`([^`]+)`/g)].flatMap(([, text = '']) => text.split(/[^A-Za-z]+/)))
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      if (!Array.isArray(value)) t.true(documented.has(key), key)
      look(inner)
    }
  }
  look(SAMPLE_STATUS)
})

test('every code is documented', t => {
  for (const code of FINDING_CODES) t.true(words.includes(`\`${code}\``), code)
})

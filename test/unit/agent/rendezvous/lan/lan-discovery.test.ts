import test from 'ava'
import type { LanKeys } from '../../../../../agent/rendezvous/lan/lan-badge.ts'
import { LanDiscovery } from '../../../../../agent/rendezvous/lan/lan-discovery.ts'
import { seekInviter } from '../../../../../agent/rendezvous/lan/seek-inviter.ts'
import { generateKeyPair } from '../../../../../common/platform/ed25519.ts'
import { createLog } from '../../../../../common/platform/log.ts'
import type { Random } from '../../../../../common/platform/random.ts'
import { decodeDns } from '../../../../../common/wire/dns-message.ts'
import type { Endpoint } from '../../../../../common/wire/endpoint.ts'
import {
  encodeLanAnnouncement,
  encodeLanQuery,
  lanAnnouncementsOf,
} from '../../../../../common/wire/lan-announcement.ts'
import type { PeerId } from '../../../../../common/wire/peer-id.ts'
import { ANNOUNCEMENT } from '../../../../vectors/lan.ts'
import { FakeClock } from '../../../fake-clock.ts'
import { mutateBytes, seededDraw } from '../../../mutate.ts'
import { FakeLink } from './fake-link.ts'

const DAY_MS = 86_400_000
const log = createLog({ level: 'error', style: 'words', write: () => undefined })
const never = new AbortController().signal
const ids = Array.from({ length: 3 }, () => generateKeyPair().id)
const [ALICE, BOB, CAROL] = ids as [PeerId, PeerId, PeerId]

/** The same chance in each run. */
function seededRandom(seed: number): Random {
  const draw = seededDraw(seed)
  return {
    bytes: length => Uint8Array.from({ length }, () => draw(256)),
    integer: (low, high) => low + draw(high - low),
  }
}

class Home {
  readonly clock = new FakeClock()
  readonly link = new FakeLink(this.clock)
  readonly shared
  #hosts = 9

  constructor(seed = 1) {
    this.shared = {
      clock: this.clock,
      random: seededRandom(seed),
      openSocket: this.link.open,
      log,
      linkLocal: () => new Map<string, string>(),
    }
  }

  interfaces(host: number) {
    return [
      { interfaceName: 'eth0', address: `192.168.1.${host}`, family: 4, prefixLength: 24, loopback: false },
    ] as const
  }

  start(ownId: PeerId, keys: LanKeys, options: { readonly enabled?: boolean } = {}) {
    const host = ++this.#hosts
    const seen: PeerId[] = []
    const lan = new LanDiscovery({
      ...this.shared,
      ownId,
      tcpPort: 4_000 + host,
      enabled: () => options.enabled ?? true,
      interfaces: () => this.interfaces(host),
      keys: () => keys,
      onSeen: peer => seen.push(peer),
    })
    return { lan, seen, address: `192.168.1.${host}` }
  }
}

test('two that pin each other see each other, and where; a third one that they do not know sees nobody', t => {
  const home = new Home()
  const alice = home.start(ALICE, { pinned: [BOB] })
  home.clock.advance(5_000)
  const bob = home.start(BOB, { pinned: [ALICE] })
  const carol = home.start(CAROL, { pinned: [generateKeyPair().id] })
  home.clock.advance(200)
  t.deepEqual([alice.seen, bob.seen, carol.seen], [[BOB], [ALICE], []])
  t.deepEqual(
    bob.lan.addresses(ALICE).map(({ endpoint, source, how }) => ({ ...endpoint, source, how })),
    [{ address: '192.168.1.10', port: 4_010, source: 'lan', how: 'lan' }],
  )
})

test('members see each other, and see a goodbye at once', async t => {
  const home = new Home()
  const network = new Uint8Array(32).fill(1)
  const alice = home.start(ALICE, { pinned: [], network })
  const bob = home.start(BOB, { pinned: [], network })
  home.clock.advance(200)
  t.true(alice.lan.isPresent(BOB))
  await bob.lan.close()
  home.clock.advance(1)
  t.false(alice.lan.isPresent(BOB))
  t.deepEqual(alice.lan.addresses(BOB), [])
})

test('where half of all multicast is lost they see each other within half a minute, and mostly within a second or two', t => {
  const times = Array.from({ length: 40 }, (_, round) => {
    const home = new Home(round)
    const draw = seededDraw(1_000 + round)
    home.link.loses = () => draw(100) < 50
    const alice = home.start(ALICE, { pinned: [BOB] })
    home.clock.advance(60_000)
    const bob = home.start(BOB, { pinned: [ALICE] })
    let ms = 0
    for (; ms < 60_000 && (alice.seen.length === 0 || bob.seen.length === 0); ms += 100) home.clock.advance(100)
    return ms
  }).toSorted((a, b) => a - b)
  t.log(`median ${times[20]} ms, worst of 40 ${times.at(-1)} ms`)
  t.true((times[20] ?? 0) <= 1_200)
  t.true((times.at(-1) ?? 0) < 32_000)
})

test('who died without a word is forgotten; while its names change it stays known', t => {
  const home = new Home()
  const alice = home.start(ALICE, { pinned: [BOB] })
  home.start(BOB, { pinned: [ALICE] })
  const seenFrom = home.link.log.length
  home.clock.advance(DAY_MS / 24)
  t.true(alice.lan.isPresent(BOB))
  t.true(alice.seen.length >= 4, 'new names were told of')
  const names = home.link.log
    .slice(seenFrom)
    .flatMap(({ bytes }) => lanAnnouncementsOf(decodeDns(Buffer.from(bytes))))
    .map(({ announcement }) => announcement.instance)
  t.true(new Set(names).size >= 6)
  home.link.loses = () => true
  home.clock.advance(2_400_000)
  t.false(alice.lan.isPresent(BOB))
})

test('an idle agent sends less than 70 kB in a day to a link', t => {
  const home = new Home()
  const { address } = home.start(ALICE, { pinned: [BOB] })
  home.start(BOB, { pinned: [ALICE] })
  home.clock.advance(60_000)
  home.link.sent.clear()
  home.clock.advance(DAY_MS)
  const sent = home.link.sent.get(address) ?? 0
  t.log(`${sent} bytes over IPv4`)
  t.true(sent < 35_000, `${sent} bytes over IPv4 alone`)
})

test('an agent that nobody could recognise says nothing, and one that is turned off does not even listen', t => {
  const home = new Home()
  home.start(ALICE, { pinned: [] })
  home.start(BOB, { pinned: [ALICE] }, { enabled: false })
  home.clock.advance(DAY_MS / 24)
  t.deepEqual(home.link.log, [])
})

test('questions without end cost so many bytes a minute and no more, and are answered after them', t => {
  const home = new Home()
  const { address } = home.start(ALICE, { pinned: [BOB] })
  home.clock.advance(60_000)
  home.link.sent.clear()
  for (let i = 0; i < 60_000; i++) {
    home.link.say(encodeLanQuery([]), { address: '192.168.1.99', port: 1_024 + (i % 60_000) })
    home.clock.advance(10)
  }
  const sent = home.link.sent.get(address) ?? 0
  t.true(sent < (32 + 10 * 4) * 1_024, `${sent} bytes in ten minutes`)
  home.clock.advance(600_000)
  const bob = home.start(BOB, { pinned: [ALICE] })
  home.clock.advance(3_000)
  t.deepEqual(bob.seen, [ALICE])
})

test('questions from another network, and answers from another port than that of mDNS, are not heard', t => {
  const home = new Home()
  const alice = home.start(ALICE, { pinned: [BOB] })
  home.clock.advance(60_000)
  const before = home.link.log.length
  home.link.say(encodeLanQuery([]), { address: '192.168.2.1', port: 5353 })
  home.link.say(encodeLanQuery([]), { address: '203.0.113.1', port: 4000 })
  home.clock.advance(1_000)
  t.is(home.link.log.length, before)
  const bob = home.start(BOB, { pinned: [ALICE] })
  home.clock.advance(10)
  const said = home.link.log.findLast(({ from }) => from.address === bob.address && from.port === 5353)
  if (!said) throw new Error('bob said nothing')
  const elsewhere = new Home()
  const again = elsewhere.start(ALICE, { pinned: [BOB] })
  elsewhere.clock.advance(10)
  elsewhere.link.say(said.bytes, { address: '192.168.1.11', port: 4_000 })
  elsewhere.link.say(said.bytes, { address: '198.51.100.1', port: 5353 })
  t.deepEqual(again.seen, [])
  elsewhere.link.say(said.bytes, { address: '192.168.1.11', port: 5353 })
  t.deepEqual(again.seen, [BOB])
  t.deepEqual(alice.seen, [BOB])
})

test('who asks on the port of mDNS is answered once for all within a second, unless it knows the answer', t => {
  const home = new Home()
  const { address } = home.start(ALICE, { pinned: [BOB] })
  home.clock.advance(60_000)
  home.link.log.length = 0
  const ask = (known: Parameters<typeof encodeLanQuery>[0]) => {
    const bytes = encodeLanQuery(known)
    // Without the bit that asks for an answer to the asker alone.
    bytes[12 + 21 + 2] = 0
    home.link.say(bytes, { address: '192.168.1.99', port: 5353 })
  }
  for (let i = 0; i < 5; i++) ask([])
  home.clock.advance(10)
  t.is(home.link.log.length, 0)
  home.clock.advance(990)
  t.deepEqual(
    home.link.log.map(({ from, to }) => [from.address, to]),
    [[address, '224.0.0.251']],
  )
  const [own] = lanAnnouncementsOf(decodeDns(Buffer.from(home.link.log[0]?.bytes ?? [])))
  home.clock.advance(5_000)
  ask([{ instance: own?.announcement.instance ?? '', ttlS: 2_400 }])
  home.clock.advance(1_000)
  t.is(home.link.log.length, 1)
})

test('forged announcements, and replayed ones that were changed, cost no dial; a flood of real ones few', t => {
  const home = new Home()
  const alice = home.start(ALICE, { pinned: [BOB] })
  const bob = home.start(BOB, { pinned: [ALICE] })
  home.clock.advance(1_000)
  alice.seen.length = 0
  const said = home.link.log.findLast(({ from }) => from.address === bob.address && from.port === 5353)
  const [heard] = lanAnnouncementsOf(decodeDns(Buffer.from(said?.bytes ?? [])))
  if (!heard) throw new Error('bob said nothing')
  const from: Endpoint = { address: '192.168.1.66', port: 5353 }
  const say = (change: Partial<typeof ANNOUNCEMENT>) =>
    home.link.say(encodeLanAnnouncement({ ...heard.announcement, ...change }), from)
  for (let i = 0; i < 200; i++) {
    home.link.say(encodeLanAnnouncement({ ...ANNOUNCEMENT, instance: `forged-${i}` }), from)
    say({ addresses: [`192.168.1.${i}`] })
    say({ instance: `renamed-${i}` })
    say({ port: 1_000 + i })
    home.clock.advance(200)
  }
  t.deepEqual(alice.seen, [])
  t.deepEqual(
    alice.lan.addresses(BOB).map(({ endpoint }) => endpoint.port),
    [4_011],
  )
  // Bob himself, gone mad.
  for (let i = 0; i < 500; i++) {
    bob.lan.renew()
    home.clock.advance(100)
  }
  t.true(alice.seen.length < 25, `${alice.seen.length} times news of bob in 50 s`)
})

test('a port that another program holds is told of, and taken once it is free', t => {
  const home = new Home()
  home.link.fault = new Error('bind EADDRINUSE 224.0.0.251:5353')
  const alice = home.start(ALICE, { pinned: [BOB] })
  const bob = home.start(BOB, { pinned: [ALICE] })
  home.clock.advance(10_000)
  t.is(alice.lan.problem?.interfaceName, 'eth0')
  t.regex(alice.lan.problem?.reason ?? '', /EADDRINUSE/)
  home.link.fault = undefined
  home.clock.advance(60_000)
  t.is(alice.lan.problem, undefined)
  t.deepEqual([alice.seen, bob.seen], [[BOB], [ALICE]])
})

test('a flood of strangers costs an agent with many peers only so many looks, and leaves it able to see one', t => {
  const home = new Home()
  let looks = 0
  const many = Array.from({ length: 500 }, () => CAROL)
  const keys = {
    get pinned() {
      looks++
      return [...many, BOB]
    },
  }
  const alice = home.start(ALICE, keys)
  home.clock.advance(60_000)
  const before = looks
  for (let i = 0; i < 2_000; i++) {
    const flood = encodeLanAnnouncement({ ...ANNOUNCEMENT, instance: `flood-${i}` })
    home.link.say(flood, { address: '192.168.1.66', port: 5353 })
  }
  t.true(looks - before < 500)
  home.clock.advance(60_000)
  home.start(BOB, { pinned: [ALICE] })
  home.clock.advance(3_000)
  t.deepEqual(alice.seen, [BOB])
})

test('garbage and mutants do no harm', t => {
  const home = new Home()
  const alice = home.start(ALICE, { pinned: [BOB] })
  home.start(BOB, { pinned: [ALICE] })
  home.clock.advance(5_000)
  const real = home.link.log.map(({ bytes }) => bytes)
  const draw = seededDraw(7)
  for (let i = 0; i < 5_000; i++) {
    const mutant = mutateBytes(real[draw(real.length)] ?? new Uint8Array(0), draw, 2_000)
    home.link.say(mutant, { address: '192.168.1.77', port: draw(2) === 0 ? 5353 : 4_000 })
    home.clock.advance(100)
  }
  t.deepEqual(
    alice.lan.addresses(BOB).map(({ endpoint }) => endpoint.port),
    [4_011],
  )
})

test('who is asked for is looked for at once, and the wait ends when nobody answers', async t => {
  const home = new Home()
  const alice = home.start(ALICE, { pinned: [BOB] })
  home.clock.advance(60_000)
  let over = false
  const asked = home.link.log.length
  const seek = alice.lan.seek(BOB, never).then(() => {
    over = true
  })
  t.is(home.link.log.length, asked + 1)
  home.clock.advance(1_100)
  await Promise.resolve()
  t.false(over)
  home.clock.advance(200)
  await seek
  await alice.lan.seek(BOB, never)
  t.is(home.link.log.length, asked + 1, 'not again at once')
})

test('a guest finds who invited it, and says nothing that shows it', t => {
  const home = new Home()
  const lanKey = new Uint8Array(16).fill(9)
  home.start(ALICE, { pinned: [], offered: [lanKey] })
  home.start(BOB, { pinned: [], offered: [new Uint8Array(16).fill(8)] })
  const found: Endpoint[] = []
  const stop = new AbortController()
  seekInviter(
    { ...home.shared, interfaces: () => home.interfaces(50), guest: CAROL, inviter: ALICE, lanKey },
    endpoint => found.push(endpoint),
    stop.signal,
  )
  home.clock.advance(5_000)
  t.deepEqual(found, [{ address: '192.168.1.10', port: 4_010 }])
  stop.abort()
  const said = home.link.log.filter(({ from }) => from.address === '192.168.1.50')
  t.true(said.length > 0)
  t.true(said.every(({ bytes }) => !decodeDns(Buffer.from(bytes)).response))
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { RelayVoice } from '../../../agent/relay-voice.ts'
import { HomeNetwork, keepJoinedNetwork } from '../../../agent/trust/home-network.ts'
import type { NetworkChange } from '../../../agent/trust/network.ts'
import type { Kept } from '../../../agent/trust/register.ts'
import { createLog } from '../../../common/platform/log.ts'
import { systemRandom } from '../../../common/platform/random.ts'
import { decodeChain, type Entry, encodeChain } from '../../../common/wire/membership.ts'
import { FakeClock } from '../fake-clock.ts'
import { keyOf, ROOT, say } from './trust/statements.ts'

const [ME, ADMIN, CARL, DORA, RELAY] = [1, 2, 3, 4, 5].map(keyOf)
if (!ME || !ADMIN || !CARL || !DORA || !RELAY) throw new Error('five were made')
/** Of the fake clock's beginning; s since 1970. */
const NOW_S = 1_700_000_000

const admin = say(ROOT, { peer: ADMIN.id, version: 1, admin: true, issuedAt: NOW_S })
const me = say(ADMIN, { peer: ME.id, version: 1, grant: 1, issuedAt: NOW_S })
const carl = say(ROOT, { peer: CARL.id, version: 1, issuedAt: NOW_S })

const chainOf = (entry: Entry, signer?: Entry) => Uint8Array.from(encodeChain({ entry, signer }))

async function scene(t: ExecutionContext, statements: readonly Kept[] = [admin, me, carl]) {
  const stateDir = await mkdtemp(join(tmpdir(), 'culvert-voice-'))
  t.teardown(() => rm(stateDir, { recursive: true }))
  const clock = new FakeClock()
  const log = createLog({ level: 'error', style: 'words', write: line => t.fail(line) })
  const changes: NetworkChange[] = []
  const announced: Uint8Array[] = []
  let introduced = 0
  let changed = Promise.withResolvers<void>()
  const place = { stateDir, identity: ME ?? RELAY ?? ROOT, clock, random: systemRandom, log }
  if (statements.length > 0)
    await keepJoinedNetwork(place, { network: ROOT.id, secret: new Uint8Array(32) }, statements)
  const home = await HomeNetwork.open({
    ...place,
    onChange: change => {
      changes.push(change)
      voice.onChange(change)
      changed.resolve()
      changed = Promise.withResolvers()
    },
  })
  t.teardown(() => home.save())
  const voice = new RelayVoice({
    clock,
    home,
    log,
    rendezvous: () => ({ introduce: () => introduced++, announce: chain => announced.push(chain) }),
    guests: () => [{ id: ROOT.id, notAfter: 1 }],
  })
  return { clock, home, voice, changes, announced, introduced: () => introduced, nextChange: () => changed.promise }
}

test('a member shows its entry, and that of the admin who signed it; without a network nothing', async t => {
  const { voice } = await scene(t)
  t.deepEqual(decodeChain(voice.membership() ?? new Uint8Array()), { entry: me.entry, signer: admin.entry })
  t.is(voice.guests().length, 1)
  const outside = await scene(t, [])
  t.is(outside.voice.membership(), undefined)
  t.deepEqual(outside.voice.removals(), [])
  t.notThrows(() => outside.voice.onChange({ taken: [carl] }))
  t.notThrows(() => outside.voice.onStatement(chainOf(carl.entry), ROOT.id))
})

test('one who is out and comes all the same is told so by the relays, once a minute, and nobody else is', async t => {
  const { clock, home, voice, announced } = await scene(t)
  const removal = say(ADMIN, { peer: CARL.id, version: 2, grant: 1, removed: true })
  for (const peer of [CARL, DORA]) voice.turnedAway(peer.id)
  await home.current?.merge([removal], ADMIN.id)
  announced.length = 0
  for (const peer of [CARL, CARL, DORA]) voice.turnedAway(peer.id)
  t.deepEqual(announced, [chainOf(removal.entry, admin.entry)])
  clock.advance(60_000)
  voice.turnedAway(CARL.id)
  t.is(announced.length, 2)
  const outside = await scene(t, [])
  outside.voice.turnedAway(CARL.id)
  t.deepEqual(outside.announced, [])
})

test('a removal that a relay passes on takes effect, and is not told to relays again', async t => {
  const { home, voice, changes, announced, nextChange } = await scene(t)
  t.true(home.current?.isMember(CARL.id))
  const removal = say(ADMIN, { peer: CARL.id, version: 2, grant: 1, removed: true })
  const change = nextChange()
  voice.onStatement(chainOf(removal.entry, admin.entry), RELAY.id)
  await change
  t.false(home.current?.isMember(CARL.id))
  t.is(changes.at(-1)?.from, RELAY.id)
  t.deepEqual(announced, [])
})

test('a removal of which members tell goes to the relays, with its proof', async t => {
  const { home, announced } = await scene(t)
  const removal = say(ADMIN, { peer: CARL.id, version: 2, grant: 1, removed: true })
  await home.current?.merge([removal], CARL.id)
  t.deepEqual(announced, [chainOf(removal.entry, admin.entry)])
  await home.current?.merge([say(ROOT, { peer: DORA.id, version: 1 })], CARL.id)
  t.is(announced.length, 1, 'and nothing else does')
})

test('relays are told of the members whom the root keeps when it removes the admin who let them in, and of no new ones', async t => {
  const { home, voice, announced } = await scene(t)
  const { current } = home
  if (!current) throw new Error('it is a member')
  voice.onChange({ taken: [say(ROOT, { peer: DORA.id, version: 1 })], from: undefined })
  t.deepEqual(announced, [])
  const removal = say(ROOT, { peer: ADMIN.id, version: 2, removed: true })
  const anew = say(ROOT, { peer: ME.id, version: 1 })
  const demoted = say(ROOT, { peer: ADMIN.id, version: 2 })
  voice.onChange({ taken: [anew, removal], from: undefined })
  t.deepEqual(announced, [chainOf(removal.entry), chainOf(anew.entry)])
  voice.onChange({ taken: [demoted], from: undefined })
  t.deepEqual(announced.slice(2), [chainOf(demoted.entry)])
  voice.onChange({ taken: [anew, demoted], from: CARL.id })
  t.is(announced.length, 3, 'who heard of it leaves it to who signed it')
})

test('forged, foreign and malformed statements, and such that remove nobody, change nothing', async t => {
  const { home, voice, changes } = await scene(t)
  const removal = say(ROOT, { peer: CARL.id, version: 2, removed: true })
  const stranger = keyOf(9)
  const statements = [
    new Uint8Array(225),
    new Uint8Array(7),
    chainOf({ ...removal.entry, version: 3 }),
    chainOf(say(stranger, { peer: CARL.id, version: 2, removed: true, network: stranger.id }).entry),
    chainOf(say(ROOT, { peer: DORA.id, version: 1 }).entry),
  ]
  for (const bytes of statements) voice.onStatement(bytes, RELAY.id)
  // The last one is good: by then all before it have been looked at.
  const { promise, resolve } = Promise.withResolvers<void>()
  const watch = setInterval(() => changes.length > 0 && resolve(), 2)
  voice.onStatement(chainOf(removal.entry), RELAY.id)
  await promise
  clearInterval(watch)
  t.is(changes.length, 1)
  t.deepEqual([...(changes[0]?.touched ?? [])], [CARL.id])
  t.false(home.current?.isMember(DORA.id))
})

test('a relay that tells forged removals without end has few of them looked at, and keeps out none that another tells', async t => {
  const { clock, home, voice, announced, nextChange } = await scene(t)
  const network = home.current
  if (!network) throw new Error('there is one')
  const merge = network.merge.bind(network)
  let looked = 0
  let atOnce = 0
  let most = 0
  network.merge = async (...args) => {
    looked++
    most = Math.max(most, ++atOnce)
    try {
      return await merge(...args)
    } finally {
      atOnce--
    }
  }
  const removal = say(ROOT, { peer: CARL.id, version: 2, removed: true }).entry
  const signature = Uint8Array.from(removal.signature, byte => byte ^ 1)
  const forged = Array.from({ length: 1_000 }, (_, n) => chainOf({ ...removal, version: 2 + n, signature }))
  for (const bytes of forged) voice.onStatement(bytes, RELAY.id)
  // A good one is behind them: from another relay, and it is told to all relays when a member tells it.
  const change = nextChange()
  voice.onStatement(chainOf(removal), ROOT.id)
  await change
  t.true(looked <= 64, `${looked}`)
  t.is(most, 1)
  t.false(network.isMember(CARL.id))
  t.deepEqual(announced, [])

  const before = looked
  clock.advance(10_000)
  for (const bytes of forged) voice.onStatement(bytes, RELAY.id)
  const dora = say(ROOT, { peer: DORA.id, version: 2, removed: true })
  const next = nextChange()
  voice.onStatement(chainOf({ ...dora.entry, signature }), ROOT.id)
  await network.merge([dora], CARL.id)
  await next
  t.true(looked - before <= 22, `${looked - before}`)
  t.deepEqual(announced, [chainOf(dora.entry)], 'one that a relay forged is not taken for heard')
})

test('lines are made anew when the own entry is another one than was shown', async t => {
  const { home, voice, introduced } = await scene(t)
  voice.membership()
  await home.current?.merge([say(ROOT, { peer: DORA.id, version: 1 })], CARL.id)
  t.is(introduced(), 0)
  await home.current?.merge([say(ROOT, { peer: ME?.id ?? ROOT.id, version: 2 })], CARL.id)
  t.is(introduced(), 1)
  await home.current?.merge([say(ROOT, { peer: ME?.id ?? ROOT.id, version: 3, removed: true })], CARL.id)
  t.is(introduced(), 1, 'who is out has nothing to show')
})

test('the last 16 removals of a week are told to a relay that comes up', async t => {
  const removals = Array.from({ length: 30 }, (_, n) => {
    const issuedAt = n < 10 ? NOW_S - 8 * 86_400 : NOW_S - n
    return say(ROOT, { peer: keyOf(100 + n).id, version: 2, removed: true, issuedAt })
  })
  const { voice } = await scene(t, [admin, me, carl, ...removals])
  const told = voice.removals().map(bytes => decodeChain(bytes).entry.peer)
  t.deepEqual(
    told,
    removals.slice(10, 26).map(({ entry }) => entry.peer),
  )
})

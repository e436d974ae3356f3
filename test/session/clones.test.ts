import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionEvents } from '../../agent/session/session-events.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { startLoopbackPeer, startLoopbackRelay } from './loopback-peers.ts'
import { QUIET } from './quiet-events.ts'
import { openLoopback, sealPair } from './sealed-pair.ts'

const never = new AbortController().signal

test('a copied SD card ends no stream of the original, and is told why it is turned away', async t => {
  // Two, because one alone would refuse the copy itself.
  const relays = [await startLoopbackRelay(), await startLoopbackRelay()] as const
  const [card, hubKey] = [generateKeyPair(), generateKeyPair()]
  const [at, elsewhere] = [{ port: relays[0].http.port }, { port: relays[1].http.port }]
  await using hub = await startLoopbackPeer({
    relay: [at, elsewhere],
    key: hubKey,
    trusts: [card.id],
    onStream: stream => {
      stream.accept()
      stream.pipe(stream)
    },
  })
  await using original = await startLoopbackPeer({ relay: at, key: card, trusts: [hubKey.id] })
  await Promise.all([hub, original].map(peer => peer.until(() => peer.rendezvous.connected)))
  const stream = await original.peer(hubKey.id).openStream('echo', never)
  stream.write('one')
  t.is(String((await once(stream, 'data'))[0]), 'one')

  await using copy = await startLoopbackPeer({ relay: elsewhere, key: card, trusts: [hubKey.id], keep: true })
  const refused = () => copy.peer(hubKey.id).lastError?.code === 'peer-refused'
  await copy.until(refused)
  t.regex(copy.peer(hubKey.id).lastError?.message ?? '', /another device with the same identity/)
  t.is(copy.peer(hubKey.id).state, 'refused')

  stream.write('two')
  t.is(String((await once(stream, 'data'))[0]), 'two')
  t.false(stream.destroyed)
  t.is(hub.lines.filter(line => line.includes('two devices have the identity')).length, 1)
  for (const relay of relays) await relay[Symbol.asyncDispose]()
})

test('at a relay, too, the original stays, and the copy is told why it is turned away', async t => {
  const relay = await startLoopbackRelay()
  const card = generateKeyPair()
  const at = { port: relay.http.port }
  await using original = await startLoopbackPeer({ relay: at, key: card, trusts: [] })
  await original.until(() => original.rendezvous.connected)
  await using copy = await startLoopbackPeer({ relay: at, key: card, trusts: [] })
  await copy.until(() => copy.rendezvous.report()[0]?.state === 'refused')
  t.regex(copy.rendezvous.report()[0]?.lastError ?? '', /another device with the same identity is connected from/)
  t.true(original.rendezvous.connected)
  t.deepEqual(
    [[4], [6], [4, 6]].map(versions => original.rendezvous.isReachedOver(versions)),
    [true, false, true],
  )
  t.false(copy.rendezvous.isReachedOver([4, 6]))
  await relay[Symbol.asyncDispose]()
})

test('who was forgotten for a clone ends its session, and does not resume what the peer knows nothing of', async t => {
  const keys = [generateKeyPair(), generateKeyPair()] as const
  const [card, hub] = keys.map(key => ({ id: key.id, sealer: createSealer(key, systemClock) }))
  if (!card || !hub) throw new Error('no sides')
  const loopback = await openLoopback()
  let skewMs = 0
  const start = (own: 0 | 1, events: Partial<SessionEvents> = {}) =>
    new Session({
      ownId: keys[own].id,
      peerId: keys[own === 0 ? 1 : 0].id,
      clock: { ...systemClock, now: () => systemClock.now() + skewMs },
      random: systemRandom,
      budget: new WindowBudget(1 << 20),
      events: { ...QUIET, ...events },
    })
  const over = Promise.withResolvers<CulvertError | undefined>()
  const original = start(0, { onBye: over.resolve })
  const copy = start(0)
  let looked = () => undefined as unknown
  const other = start(1, { onPaths: () => looked() })
  const meet = async (session: Session) => {
    const [near, far] = await sealPair(await loopback.connect(), card, hub)
    const link = session.attach(near, true)
    other.attach(far, false)
    return link
  }
  const meetAndPart = async (session: Session) => {
    const link = await meet(session)
    await t.throwsAsync(once(session.openStream('echo'), 'end'), { message: /nothing is served/ })
    // Only an acknowledgement shows that the hub knows this epoch.
    while (session.sending.unacknowledgedBytes > 0) await nextTurn()
    const parted = new Promise<void>(resolve => {
      looked = () => other.active ?? resolve()
    })
    if (link) session.drop([link])
    await parted
  }
  await meetAndPart(original)
  await meetAndPart(copy)
  skewMs = 10_000
  await meet(original)
  t.regex((await over.promise)?.message ?? '', /forgotten/)
  for (const session of [original, copy, other]) session.close(new CulvertError('session-closed', 'the test is over'))
  loopback.close()
})

import test from 'ava'
import { PeerRelay, type PeerRelayLimits } from '../../agent/service/peer-relay.ts'
import { PipeCalls } from '../../agent/service/pipe-calls.ts'
import type { Link } from '../../agent/session/carriers.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { CALL_SERVICE, encodePipeHead, PIPE_SERVICE } from '../../common/wire/peer-pipe.ts'
import { transferBothWays } from '../scenario/transfer.ts'
import { type LoopbackPeer, startLoopbackPeer, startLoopbackRelay } from '../session/loopback-peers.ts'

const never = new AbortController().signal
const QUIET = createLog({ level: 'error', style: 'words', write: () => undefined })
const LIMITS: PeerRelayLimits = { enabled: true, mbit: 10_000, gbPerDay: 100, pipes: 4 }

interface SceneOptions {
  readonly limits?: Partial<PeerRelayLimits>
  /** All have a relay, too. */
  readonly relay?: boolean
}

/** Alice and bob, who know where mike is and not where the other one is. */
async function startThree({ limits = {}, relay: hasRelay = false }: SceneOptions = {}) {
  const relay = hasRelay ? await startLoopbackRelay() : undefined
  const at = relay ? [{ port: relay.http.port }] : []
  const [one, two, third] = [generateKeyPair(), generateKeyPair(), generateKeyPair()]
  const strangers = new Set<PeerId>()
  const links = new Map<PeerId, Link>()
  let now: PeerRelayLimits = { ...LIMITS, ...limits }
  const mike = await startLoopbackPeer({
    relay: at,
    key: third,
    trusts: [one.id, two.id],
    onStream: (stream, peer) =>
      void (stream.service === PIPE_SERVICE ? carrier.serve(peer, stream) : stream.reset('service-unknown', '')),
  })
  const linkOf = (peers: LoopbackPeer) => (id: PeerId) => peers.peers.peek(id)?.link ?? ('none' as const)
  const carrier: PeerRelay = new PeerRelay({
    clock: systemClock,
    log: QUIET,
    limits: () => now,
    mayMeet: (a, b) => [a, b].every(id => (id === one.id || id === two.id) && !strangers.has(id)),
    link: id => links.get(id) ?? linkOf(mike)(id),
    ring: (id, signal) => mike.peer(id).openStream(CALL_SERVICE, signal),
    nameOf: id => id,
    onChange: () => undefined,
  })
  const addresses = [{ how: 'lan', endpoint: { address: '127.0.0.1', port: mike.port } } as const]
  const remembers = [{ peer: third.id, network: 'loopback', addresses }]
  const startHome = async (key: typeof one, other: PeerId) => {
    const home: LoopbackPeer = await startLoopbackPeer({
      relay: at,
      key,
      trusts: [other, third.id],
      remembers,
      pipes: {
        carries: () => false,
        carriers: () => [{ id: third.id, link: linkOf(home)(third.id), addressed: true }],
        open: (via, service, signal) => home.peer(via).openStream(service, signal),
      },
      onStream: (stream, peer) => {
        if (stream.service === CALL_SERVICE) void calls.serve(peer, stream)
        else {
          stream.accept()
          stream.pipe(stream)
        }
      },
    })
    const calls = new PipeCalls({ clock: systemClock, link: linkOf(home), peer: id => home.peers.get(id) })
    await home.peer(third.id).ready(never)
    await home.until(() => home.peer(third.id).link === 'direct')
    return home
  }
  const alice = await startHome(one, two.id)
  const bob = await startHome(two, one.id)
  return {
    alice,
    bob,
    mike,
    carrier,
    strangers,
    /** What mike takes his sessions for, where it differs. */
    links,
    set limits(change: Partial<PeerRelayLimits>) {
      now = { ...now, ...change }
    },
    async [Symbol.asyncDispose]() {
      for (const peer of [alice, bob, mike]) await peer[Symbol.asyncDispose]()
      await relay?.[Symbol.asyncDispose]()
    },
  }
}

async function ask(from: LoopbackPeer, via: PeerId, to: PeerId): Promise<SessionStream> {
  const stream = await from.peer(via).openStream(PIPE_SERVICE, never)
  stream.write(encodePipeHead(to))
  await stream.accepted()
  return stream
}

const codeOf = (asked: Promise<SessionStream>) =>
  asked.then(
    () => 'accepted',
    (thrown: unknown) => (thrown instanceof CulvertError ? thrown.code : thrown),
  )

test('two peers that cannot reach each other meet over a third, sealed, with no relay at all', async t => {
  await using scene = await startThree()
  const { alice, bob, mike, carrier } = scene
  const stream = await alice.peer(bob.key.id).openStream('echo', never)
  const { sent, received } = await transferBothWays(stream, 8 << 20)
  t.is(received, sent)
  const path = alice.peer(bob.key.id).session?.active
  t.deepEqual([path?.kind, path?.transport, path?.how, path?.via], ['relay', 'pipe', 'relay', mike.key.id])
  t.is(bob.peer(alice.key.id).session?.active?.via, mike.key.id)
  const [pipe] = carrier.pipes
  t.like(pipe, { from: alice.key.id, to: bob.key.id })
  t.true((pipe?.bytes ?? 0) > 16 << 20)
  t.true(carrier.bytes >= (pipe?.bytes ?? 0))
})

test('a pipe ends when one of the two is put out, and when the owner says so', async t => {
  await using scene = await startThree()
  const { alice, bob, mike, carrier, strangers } = scene
  await alice.peer(bob.key.id).ready(never)
  strangers.add(bob.key.id)
  carrier.check()
  await alice.until(() => alice.peer(bob.key.id).link === 'none')
  t.is(await codeOf(ask(alice, mike.key.id, bob.key.id)), 'not-authorized')
  strangers.clear()
  await alice.peer(bob.key.id).ready(never)
  scene.limits = { enabled: false }
  carrier.check()
  await bob.until(() => bob.peer(alice.key.id).link === 'none')
  t.deepEqual(carrier.pipes, [])
  t.is(await codeOf(ask(alice, mike.key.id, bob.key.id)), 'not-authorized')
})

test('asks for itself, for nobody, for strangers, and one pipe too many are refused', async t => {
  await using scene = await startThree({ limits: { pipes: 1 } })
  const { alice, bob, mike } = scene
  t.is(await codeOf(ask(alice, mike.key.id, alice.key.id)), 'not-authorized')
  t.is(await codeOf(ask(alice, mike.key.id, generateKeyPair().id)), 'not-authorized')
  await alice.peer(bob.key.id).ready(never)
  t.is(await codeOf(ask(alice, mike.key.id, bob.key.id)), 'busy')
})

test('nobody carries over a relay, and no pipe goes over a pipe: one that would come to that ends', async t => {
  await using scene = await startThree()
  const { alice, bob, mike, carrier, links } = scene
  for (const end of [alice, bob]) {
    for (const link of ['relayed', 'piped'] as const) {
      links.set(end.key.id, link)
      t.is(await codeOf(ask(alice, mike.key.id, bob.key.id)), 'busy')
    }
    links.clear()
  }
  await alice.peer(bob.key.id).ready(never)
  links.set(bob.key.id, 'relayed')
  carrier.check()
  t.is(carrier.pipes.length, 1, 'a path that is lost for a moment ends none')
  links.set(bob.key.id, 'piped')
  await alice.peer(bob.key.id).session?.ping()
  await alice.until(() => alice.peer(bob.key.id).link === 'none')
  t.deepEqual(carrier.pipes, [])
})

test('who calls and is no peer of the one that it calls is told so', async t => {
  await using scene = await startThree()
  const { alice, bob, mike } = scene
  bob.peers.update([{ id: mike.key.id, name: 'mike', keep: false }])
  t.is(await codeOf(ask(alice, mike.key.id, bob.key.id)), 'not-authorized')
})

test('the bytes of a day are the last that go', async t => {
  await using scene = await startThree({ limits: { gbPerDay: 0.001 } })
  const { alice, bob, mike, carrier } = scene
  const stream = await alice.peer(bob.key.id).openStream('echo', never)
  const over = new Promise(resolve => stream.once('close', resolve))
  await alice.until(() => alice.peer(bob.key.id).link === 'piped')
  stream.resume()
  stream.write(Buffer.alloc(4 << 20))
  await alice.until(() => alice.peer(bob.key.id).link === 'none')
  t.true(carrier.bytes >= 1e6 && carrier.bytes < 1.1e6, `${carrier.bytes}`)
  t.is(await codeOf(ask(alice, mike.key.id, bob.key.id)), 'over-quota')
  stream.destroy()
  await over
})

test('what two exchange over a third keeps to the rate of its owner', async t => {
  await using scene = await startThree({ limits: { mbit: 40 } })
  const { alice, bob, carrier } = scene
  const stream = await alice.peer(bob.key.id).openStream('echo', never)
  const [since, before] = [performance.now(), carrier.bytes]
  const { sent, received } = await transferBothWays(stream, 4 << 20)
  t.is(received, sent)
  const mbit = ((carrier.bytes - before) * 8) / 1000 / (performance.now() - since)
  t.true(mbit < 44, `${mbit} Mbit/s`)
  t.log(`${mbit.toFixed(1)} of 40 Mbit/s`)
})

test('user bytes that a relay carries move to a peer that carries them for nothing', async t => {
  await using scene = await startThree({ relay: true })
  const { alice, bob, mike } = scene
  const peer = alice.peer(bob.key.id)
  const stream = await peer.openStream('echo', never)
  await alice.until(() => peer.link === 'piped')
  t.is(peer.session?.active?.via, mike.key.id)
  const { sent, received } = await transferBothWays(stream, 1 << 20)
  t.is(received, sent)
})

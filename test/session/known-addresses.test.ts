import test from 'ava'
import type { KnownAddress } from '../../agent/rendezvous/address-source.ts'
import { CulvertError } from '../../common/errors.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { type LoopbackPeer, startLoopbackPeer } from './loopback-peers.ts'

const never = new AbortController().signal

/** A source that knows what the test tells it. */
function tell(here: LoopbackPeer, seek?: (peer: PeerId) => Promise<void>) {
  const known = new Map<PeerId, KnownAddress>()
  const failed: number[] = []
  here.sources.add({
    name: 'lan',
    addresses: peer => [known.get(peer) ?? []].flat(),
    isPresent: peer => known.has(peer),
    failed: (_peer, { port }) => failed.push(port),
    ...(seek ? { seek } : {}),
  })
  const at = (peer: PeerId, port: number) =>
    known.set(peer, { source: 'lan', how: 'lan', endpoint: { address: '127.0.0.1', port } })
  return { at, failed }
}

async function startTwo(keep: boolean) {
  const [one, other] = [generateKeyPair(), generateKeyPair()].toSorted((x, y) => (x.id < y.id ? -1 : 1))
  if (!one || !other) throw new Error('two were made')
  const a = await startLoopbackPeer({ relay: [], key: one, trusts: [other.id], keep })
  const b = await startLoopbackPeer({ relay: [], key: other, trusts: [one.id] })
  return {
    a,
    b,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

test('with no relay at all, an address that comes up connects a peer that is wanted', async t => {
  await using pair = await startTwo(true)
  const { a, b } = pair
  const lan = tell(a)
  await a.until(() => a.peer(b.key.id).lastError?.code === 'relay-unreachable')
  lan.at(b.key.id, b.port)
  a.sources.learnt(b.key.id)
  await a.until(() => a.peer(b.key.id).state === 'connected')
  t.is(a.peer(b.key.id).session?.active?.kind, 'tcp')
  t.is(a.peer(b.key.id).lastError, undefined)
})

test('a peer that nobody wants is not dialled when it shows itself, and is not said to be offline', async t => {
  await using pair = await startTwo(false)
  const { a, b } = pair
  const error = await t.throwsAsync(a.peer(b.key.id).ready(never), { instanceOf: CulvertError })
  t.is(error?.code, 'relay-unreachable')
  t.is(a.peer(b.key.id).state, 'offline')
  tell(a).at(b.key.id, b.port)
  a.sources.learnt(b.key.id)
  t.is(a.peer(b.key.id).state, 'idle')
  t.is(a.peer(b.key.id).session, undefined)
  await a.peer(b.key.id).ready(never)
  t.is(a.peer(b.key.id).state, 'connected')
})

test('who asks for a peer is not told that there is none before every source has looked', async t => {
  await using pair = await startTwo(false)
  const { a, b } = pair
  const asked = Promise.withResolvers<void>()
  const lan = tell(a, () => {
    asked.resolve()
    return new Promise(() => undefined)
  })
  const ready = a.peer(b.key.id).ready(never)
  await asked.promise
  lan.at(b.key.id, b.port)
  a.sources.learnt(b.key.id)
  await ready
  t.is(a.peer(b.key.id).session?.active?.kind, 'tcp')
})

test('an address that leads to nobody is told to its source, and the next one connects', async t => {
  await using pair = await startTwo(true)
  const { a, b } = pair
  const lan = tell(a)
  const gone = await startLoopbackPeer({ relay: [], trusts: [] })
  await gone[Symbol.asyncDispose]()
  lan.at(b.key.id, gone.port)
  a.sources.learnt(b.key.id)
  await a.until(() => a.peer(b.key.id).lastError !== undefined)
  t.true(lan.failed.includes(gone.port))
  lan.at(b.key.id, b.port)
  a.sources.learnt(b.key.id)
  await a.until(() => a.peer(b.key.id).state === 'connected')
  t.pass()
})

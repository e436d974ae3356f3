import test from 'ava'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { startLoopbackPeer, startLoopbackRelay } from './loopback-peers.ts'

const never = new AbortController().signal

test('a member is a peer as soon as there is something with it, and none any more when it is removed', async t => {
  const relay = await startLoopbackRelay()
  const at = { port: relay.http.port }
  const [keyA, keyB] = [generateKeyPair(), generateKeyPair()]
  const [ofA, ofB] = [new Set([keyB.id]), new Set([keyA.id])]
  await using a = await startLoopbackPeer({ relay: at, key: keyA, trusts: [], members: ofA })
  await using b = await startLoopbackPeer({
    relay: at,
    key: keyB,
    trusts: [],
    members: ofB,
    onStream: stream => stream.accept(),
  })
  t.deepEqual(a.peers.list(), [])
  t.is(b.peers.peek(keyA.id), undefined)
  const stream = await a.peer(keyB.id).openStream('echo', never)
  await stream.accepted()
  t.deepEqual(
    b.peers.list().map(({ id }) => id),
    [keyA.id],
  )
  t.is(b.peer(keyA.id).idleMs, undefined)

  ofB.delete(keyA.id)
  const cut = new Promise(resolve => stream.once('close', resolve))
  b.peers.onMembers()
  t.deepEqual(b.peers.list(), [])
  t.is(b.peers.get(keyA.id), undefined)
  await cut
  const refused = await t.throwsAsync(a.peer(keyB.id).openStream('echo', never))
  t.like(refused, { code: 'peer-refused' })

  ofA.delete(keyB.id)
  a.peers.onMembers()
  t.throws(() => a.peer(keyB.id))
  await relay[Symbol.asyncDispose]()
})

test('a peer that is pinned and a member stays when it is either', async t => {
  const relay = await startLoopbackRelay()
  const other = generateKeyPair().id
  const members = new Set([other])
  await using a = await startLoopbackPeer({ relay: { port: relay.http.port }, trusts: [other], members })
  const pinned = a.peer(other)
  a.peers.update([])
  t.is(a.peers.get(other), pinned)
  a.peers.update([{ id: other, name: 'other', keep: false }])
  members.delete(other)
  a.peers.onMembers()
  t.is(a.peers.get(other), pinned)
  a.peers.update([])
  t.is(a.peers.get(other), undefined)
  await relay[Symbol.asyncDispose]()
})

import test from 'ava'
import { RosterSet } from '../../agent/service/roster-set.ts'
import { openExchange, serveExchange } from '../../agent/service/sync-exchange.ts'
import { Network } from '../../agent/trust/network.ts'
import { keep } from '../../agent/trust/register.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import { signEntry } from '../../common/platform/membership-proof.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { encodeDetails, hashOfDetails, memberDetails } from '../../common/wire/member-details.ts'
import { peerIdFromBytes } from '../../common/wire/peer-id.ts'
import { SYNC_SERVICE } from '../../common/wire/sync-message.ts'
import { startLoopbackPeer, startLoopbackRelay } from '../session/loopback-peers.ts'
import { liveBytes } from '../unit/collect-garbage.ts'

const MEMBERS = 10_000

function networkOf(root: KeyPair, identity: KeyPair): Network {
  return new Network({
    network: root.id,
    secret: new Uint8Array(32),
    identity,
    root,
    statements: [],
    clock: systemClock,
    random: systemRandom,
    onChange: () => undefined,
  })
}

test('a roster of 10,000 members goes over one session, and a second time as one digest', async t => {
  const relay = await startLoopbackRelay()
  const root = generateKeyPair()
  const [key, otherKey] = [generateKeyPair(), generateKeyPair()]
  const [full, empty] = [networkOf(root, key), networkOf(root, otherKey)]
  const statements = Array.from({ length: MEMBERS }, (_, n) => {
    const details = memberDetails(`device-${n}`, ['family'], systemRandom)
    const body = { network: root.id, peer: peerIdFromBytes(systemRandom.bytes(32)), version: 1, grant: 0, notAfter: 0 }
    const hash = hashOfDetails(encodeDetails(details))
    return keep({
      entry: signEntry({ ...body, issuedAt: 1_795_000_000, removed: false, admin: false, details: hash }, root),
      details,
    })
  })
  await full.merge(statements, key.id)
  t.is(full.roster.size, MEMBERS)

  const sets = new Map([[1, new RosterSet(full)]])
  const errors: unknown[] = []
  const end = { port: relay.http.port }
  const near = await startLoopbackPeer({
    key,
    relay: end,
    trusts: [otherKey.id],
    direct: true,
    onStream: (stream, peer) => {
      stream.accept()
      serveExchange(stream, sets, peer).catch((thrown: unknown) => errors.push(thrown))
    },
  })
  const far = await startLoopbackPeer({ key: otherKey, relay: end, trusts: [key.id], direct: true })
  const before = liveBytes()
  const peer = far.peer(key.id)
  await peer.ready(new AbortController().signal)
  const exchange = async () => {
    const startedAt = performance.now()
    const stream = await peer.openStream(SYNC_SERVICE, new AbortController().signal)
    await openExchange(stream, [new RosterSet(empty)], key.id)
    return Math.round(performance.now() - startedAt)
  }
  const [first, second] = [await exchange(), await exchange()]
  const mb = ((liveBytes() - before) / 1e6).toFixed(1)
  t.log(`${first} ms, ${mb} MB; then ${second} ms; ${peer.traffic.bytesIn} bytes in`)
  t.is(empty.roster.size, MEMBERS)
  t.deepEqual(errors, [])
  for (const part of [near, far, relay]) await part[Symbol.asyncDispose]()
})

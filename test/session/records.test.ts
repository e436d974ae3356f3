import test from 'ava'
import { signAddressRecord } from '../../common/platform/address-record-proof.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { guarded } from '../guard.ts'
import { type LoopbackPeer, startLoopbackPeer } from './loopback-peers.ts'

const never = new AbortController().signal

/** An agent's records, as far as sessions see them. */
class Records {
  readonly key = generateKeyPair()
  readonly taken: string[] = []
  bytes: Uint8Array | undefined
  #wake = (): unknown => undefined

  own(): Uint8Array | undefined {
    return this.bytes
  }

  takeFrom(peer: PeerId, bytes: Uint8Array): void {
    this.taken.push(`${peer} ${Buffer.from(bytes).toString('hex')}`)
    this.#wake()
  }

  /** Resolves when so many were told. */
  until(count: number): Promise<void> {
    const told = Promise.withResolvers<void>()
    this.#wake = () => this.taken.length >= count && told.resolve()
    this.#wake()
    return guarded(told.promise, () => `${this.taken.length} records`)
  }
}

const recordOf = (key: KeyPair, sequence: number) =>
  signAddressRecord({ sequence, places: [], relays: [], candidates: [] }, key)
const wordOf = (records: Records) => `${records.key.id} ${Buffer.from(records.bytes ?? []).toString('hex')}`

async function start(records: Records, trusts: PeerId): Promise<LoopbackPeer> {
  return startLoopbackPeer({ relay: [], key: records.key, trusts: [trusts], records })
}

function connect(from: LoopbackPeer, to: LoopbackPeer): Promise<unknown> {
  from.sources.add({
    name: 'lan',
    addresses: () => [{ source: 'lan', how: 'lan', endpoint: { address: '127.0.0.1', port: to.port } }],
  })
  return from.peer(to.key.id).ready(never)
}

test('each side tells its record when they meet, again when it is a new one, and to a peer that restarted', async t => {
  const [here, there] = [new Records(), new Records()]
  here.bytes = recordOf(here.key, 1)
  await using a = await start(here, there.key.id)
  const b = await start(there, here.key.id)
  await connect(a, b)
  await there.until(1)
  t.deepEqual(there.taken, [wordOf(here)])

  // There was none at first.
  there.bytes = recordOf(there.key, 1)
  b.peers.onOwnRecord()
  await here.until(1)
  t.deepEqual(here.taken, [wordOf(there)])

  here.bytes = recordOf(here.key, 2)
  a.peers.onOwnRecord()
  a.peers.onOwnRecord()
  await there.until(2)
  t.deepEqual(there.taken.slice(1), [wordOf(here)])

  await b[Symbol.asyncDispose]()
  await a.until(() => a.peer(b.key.id).state !== 'connected')
  await using again = await start(there, here.key.id)
  await connect(a, again)
  await Promise.all([there.until(3), here.until(2)])
  t.deepEqual(there.taken.slice(2), [wordOf(here)])
  t.deepEqual(here.taken.slice(1), [wordOf(there)])
})

test('a peer that tells without end is heard a few times', async t => {
  const [here, there] = [new Records(), new Records()]
  await using a = await start(here, there.key.id)
  await using b = await start(there, here.key.id)
  await connect(a, b)
  for (let sequence = 1; sequence <= 50; sequence++) {
    here.bytes = recordOf(here.key, sequence)
    a.peers.onOwnRecord()
  }
  await there.until(6)
  await a.peer(b.key.id).ping(never)
  t.is(there.taken.length, 6)
})

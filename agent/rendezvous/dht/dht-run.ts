import { createHash } from 'node:crypto'
import { type Clock, deadline } from '../../../common/platform/clock.ts'
import { type KeyPair, SIGNATURE_BYTES, signBytes, verifyBytes } from '../../../common/platform/ed25519.ts'
import type { UdpSocket } from '../../../common/platform/udp-socket.ts'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../../common/wire/endpoint.ts'
import { PEER_ID_BYTES, peerIdFromBytes, peerIdToBytes } from '../../../common/wire/peer-id.ts'
import { type DhtTraffic, GuardedSocket } from './guarded-socket.ts'

/** A search takes two to ten seconds, as some of the nodes that others tell are gone. */
const RUN_MS = 25_000
/** Fewer than the library's 16: home routers. */
const CONCURRENCY = 8
const NODES_KEPT = 24

/** Operations of the DHT, for as long as a run lasts. */
export interface Dht {
  /** The newest value of a mutable item; undefined where nobody has one. */
  get(key: KeyPair['id']): Promise<Uint8Array | undefined>
  /** Resolves with how many nodes took it. */
  put(key: KeyPair, value: Uint8Array, sequence: number): Promise<number>
}

export interface DhtRunOptions {
  readonly clock: Clock
  readonly open: () => Promise<UdpSocket>
  /** Nodes to begin with. */
  readonly nodes: readonly Endpoint[]
  readonly signal: AbortSignal
}

export interface DhtRunEnd<T> {
  readonly result: T
  /** Nodes that answered, to begin with the next time. */
  readonly nodes: readonly Endpoint[]
  readonly traffic: DhtTraffic
}

/**
 * Takes part in the DHT for as long as `work` takes, and no longer: nothing of it is in memory, on a timer or open to
 * anybody between two runs. Rejects when the time is over.
 */
export async function runDht<T>(options: DhtRunOptions, work: (dht: Dht) => Promise<T>): Promise<DhtRunEnd<T>> {
  const { default: DHT } = await import('bittorrent-dht')
  const { clock, nodes } = options
  const socket = new GuardedSocket(await options.open(), nodes)
  const dht = new DHT({
    nodes: nodes.map(formatEndpoint),
    bootstrap: false,
    socket,
    concurrency: CONCURRENCY,
    maxTables: 8,
    maxValues: 1,
    maxPeers: 1,
    verify,
  })
  // It would answer, and keep what strangers put.
  dht._onquery = () => undefined
  dht.on('error', () => undefined)
  dht.on('warning', () => undefined)
  const limit = deadline(clock, RUN_MS, options.signal)
  const over = Promise.withResolvers<never>()
  over.promise.catch(() => undefined)
  const end = () => over.reject(limit.signal.reason)
  limit.signal.addEventListener('abort', end, { once: true })
  if (limit.signal.aborted) end()
  try {
    const result = await Promise.race([
      work({ get: key => get(dht, key), put: (...item) => put(dht, ...item) }),
      over.promise,
    ])
    return { result, nodes: nodesOf(dht), traffic: socket.traffic }
  } finally {
    limit.done()
    await new Promise<void>(resolve => dht.destroy(resolve))
  }
}

type Library = InstanceType<typeof import('bittorrent-dht').default>

function get(dht: Library, key: KeyPair['id']): Promise<Uint8Array | undefined> {
  const target = createHash('sha1').update(peerIdToBytes(key)).digest()
  return new Promise((resolve, reject) => {
    dht.get(target, { cache: false }, (error, value) => {
      if (error) reject(error)
      else resolve(value?.v instanceof Uint8Array ? value.v : undefined)
    })
  })
}

function put(dht: Library, key: KeyPair, value: Uint8Array, sequence: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const item = {
      k: Buffer.from(peerIdToBytes(key.id)),
      v: Buffer.from(value),
      seq: sequence,
      sign: (message: Uint8Array) => Buffer.from(signBytes(key, message)),
    }
    dht.put(item, (error, _target, nodes) => {
      if (error) reject(error)
      else resolve(nodes)
    })
  })
}

/** Of an item that some node handed out: nothing about it is certain, not even its types. */
function verify(signature: unknown, message: unknown, key: unknown): boolean {
  const bytes = [signature, message, key].every(part => part instanceof Uint8Array)
  if (
    !bytes ||
    !(signature instanceof Uint8Array) ||
    !(message instanceof Uint8Array) ||
    !(key instanceof Uint8Array)
  ) {
    return false
  }
  if (signature.length !== SIGNATURE_BYTES || key.length !== PEER_ID_BYTES) return false
  return verifyBytes(peerIdFromBytes(key), message, signature)
}

function nodesOf(dht: Library): readonly Endpoint[] {
  return dht
    .toJSON()
    .nodes.flatMap(({ host, port }) => parseEndpoint(`${host}:${port}`) ?? [])
    .slice(-NODES_KEPT)
}

import { createSocket } from 'node:dgram'
import { verifyBytes } from '../../common/platform/ed25519.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { peerIdFromBytes } from '../../common/wire/peer-id.ts'

/** What a node of the library does that ours never do: it serves others. */
interface ServingNode {
  listen(port: number, address: string, done: () => void): void
  address(): { readonly port: number }
  once(event: 'ready', listener: () => void): void
  destroy(done: () => void): void
}

type Serving = new (options: {
  readonly bootstrap: false | readonly string[]
  readonly verify: (signature: Uint8Array, message: Uint8Array, key: Uint8Array) => boolean
}) => ServingNode

export interface DhtNodes extends AsyncDisposable {
  readonly endpoints: readonly Endpoint[]
}

/** A DHT of its own, of so many nodes of the library on one address, each of which knows the first. */
export async function startDhtNodes(count: number, address = '127.0.0.1'): Promise<DhtNodes> {
  const library = await import('bittorrent-dht')
  const Node = library.default as unknown as Serving
  const verify = (signature: Uint8Array, message: Uint8Array, key: Uint8Array) =>
    key.length === 32 && verifyBytes(peerIdFromBytes(key), message, signature)
  const nodes: ServingNode[] = []
  const endpoints: Endpoint[] = []
  for (let i = 0; i < count; i++) {
    const first = endpoints[0]
    const node = new Node({ bootstrap: first ? [`${address}:${first.port}`] : false, verify })
    const ready = new Promise<void>(resolve => node.once('ready', resolve))
    await new Promise<void>(listening => node.listen(0, address, listening))
    await ready
    nodes.push(node)
    endpoints.push({ address, port: node.address().port })
  }
  return {
    endpoints,
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map(node => new Promise<void>(done => node.destroy(done))))
    },
  }
}

/** A node that answers each packet with what the test makes of it. */
export async function startFalseNode(
  answer: (query: Buffer) => readonly Buffer[],
): Promise<AsyncDisposable & { readonly endpoint: Endpoint; readonly heard: readonly Buffer[] }> {
  const socket = createSocket('udp4')
  const heard: Buffer[] = []
  socket.on('message', (query, { address, port }) => {
    heard.push(query)
    for (const bytes of answer(query)) socket.send(bytes, port, address)
  })
  await new Promise<void>(bound => socket.bind(0, '127.0.0.1', bound))
  return {
    endpoint: { address: '127.0.0.1', port: socket.address().port },
    heard,
    [Symbol.asyncDispose]: () => new Promise<void>(closed => socket.close(() => closed())),
  }
}

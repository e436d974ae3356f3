import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Path } from '../../agent/path/path.ts'
import type { Sealer } from '../../agent/path/seal.ts'
import { endsOf } from '../../agent/path/tcp-path.ts'
import { CulvertError } from '../../common/errors.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** Two ends of TCP connections on loopback, as many as are wanted, over one listener. */
export async function openLoopback() {
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new CulvertError('internal', 'no port')
  const { port } = address
  /** Accepted ends by the port that they were dialled from: which of the two events comes first is not certain. */
  const accepted = new Map<number, PromiseWithResolvers<Socket>>()
  const open = new Set<Socket>()
  const from = (localPort: number | undefined) => {
    const entry = accepted.get(localPort ?? 0) ?? Promise.withResolvers<Socket>()
    accepted.set(localPort ?? 0, entry)
    return entry
  }
  server.on('connection', socket => from(socket.remotePort).resolve(socket))
  return {
    /** One connection: the dialled end and the accepted one. */
    async connect(): Promise<readonly [Socket, Socket]> {
      const dialled = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
      await once(dialled, 'connect')
      const { localPort } = dialled
      const other = await from(localPort).promise
      accepted.delete(localPort ?? 0)
      for (const socket of [dialled, other]) {
        open.add(socket)
        socket.on('error', () => undefined)
        socket.once('close', () => open.delete(socket))
      }
      return [dialled, other]
    },
    /** Cuts every connection that is left, so that none keeps the process alive. */
    close(): void {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

/** One side of a pair: who it is, and what seals for it. */
export interface Side {
  readonly id: PeerId
  readonly sealer: Sealer
}

/** Runs TLS over a connection; gives the path that each side has then. */
export async function sealPair(
  sockets: readonly [Socket, Socket],
  client: Side,
  server: Side,
): Promise<readonly [Path, Path]> {
  const accept = () => true
  const { signal } = new AbortController()
  const [near, far] = await Promise.all([
    client.sealer.seal(sockets[0], { role: 'client', expected: server.id, accept, signal }),
    server.sealer.seal(sockets[1], { role: 'server', expected: client.id, accept, signal }),
  ])
  const facts = { kind: 'tcp', transport: 'tcp', how: 'lan' } as const
  return [
    { ...facts, ...endsOf(sockets[0]), ...near },
    { ...facts, ...endsOf(sockets[1]), ...far },
  ]
}

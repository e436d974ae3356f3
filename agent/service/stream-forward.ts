import type { Socket } from 'node:net'
import { asCulvertError } from '../../common/errors.ts'
import { resetSocket } from '../../common/platform/tcp.ts'
import type { Address } from '../config/address.ts'
import type { PeerService } from '../config/name.ts'
import { join } from './join.ts'
import type { ListenContext, Listening } from './listening.ts'
import { serveLocally } from './local-server.ts'

/** Listens for connections, each of which becomes a stream to one service. */
export function forwardStreams(listen: Address, to: PeerService, context: ListenContext): Promise<Listening> {
  return serveLocally(listen, (socket, gone) => void take(socket, gone, to, context))
}

async function take(socket: Socket, gone: AbortSignal, to: PeerService, context: ListenContext): Promise<void> {
  try {
    const stream = await context.open(to.peer, to.service, gone, 'bytes')
    if (socket.destroyed) {
      stream.reset('aborted', 'the local connection was closed')
      return
    }
    stream.once('error', error => context.complain(to, asCulvertError(error, 'internal', 'forwarding failed')))
    join(stream, socket)
    socket.resume()
  } catch (thrown) {
    resetSocket(socket)
    if (!gone.aborted) context.complain(to, asCulvertError(thrown, 'internal', 'forwarding failed'))
  }
}

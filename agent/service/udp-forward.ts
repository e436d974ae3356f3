import { listenUdp } from '../../common/platform/local-udp.ts'
import { formatEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerService } from '../config/name.ts'
import type { ListenContext, Listening } from './listening.ts'
import { OutgoingFlows } from './outgoing-flows.ts'

/** Listens for datagrams; those of each local source become a flow to one service. */
export async function forwardDatagrams(
  listen: { readonly host: string; readonly port: number },
  to: PeerService,
  context: ListenContext,
): Promise<Listening> {
  const socket = await listenUdp(listen.host, listen.port)
  const flows = new OutgoingFlows({
    clock: context.clock,
    open: signal => context.open(to.peer, to.service, signal, 'datagrams'),
    onFault: error => context.complain(to, error),
  })
  socket.receive((bytes, from) => flows.send(formatEndpoint(from), bytes, answer => socket.send(answer, from)))
  return {
    close() {
      flows.close()
      return socket.close()
    },
  }
}

import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { Target } from '../../agent/config/address.ts'
import { parseAddress, parseTarget } from '../../agent/config/address.ts'
import { parsePeerService } from '../../agent/config/name.ts'
import { Forwards } from '../../agent/service/forwards.ts'
import { Services } from '../../agent/service/services.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { listenUdp, type UdpListener } from '../../common/platform/local-udp.ts'
import { createLog } from '../../common/platform/log.ts'
import { quietPort } from '../quiet-port.ts'
import { type LoopbackPeer, startLoopbackPeer, startLoopbackRelay } from '../session/loopback-peers.ts'

export interface Offer {
  readonly target: string
  readonly allow?: readonly string[]
}

/** Two peers that are connected over loopback: `attic` offers services, and its peer has forwards to them. */
export interface ServiceScene {
  readonly forwards: Forwards
  readonly office: LoopbackPeer
  readonly attic: LoopbackPeer
  readonly lines: readonly string[]
  readonly services: Services
  /** Roles of the peer, of which `role:family` may be in an offer's `allow`. */
  readonly roles: Set<string>
  /** Adds a forward on a free port; gives the port. */
  forward(kind: 'tcp' | 'udp' | 'socks5', to?: string): Promise<number>
}

export async function createServiceScene(
  t: ExecutionContext,
  offers: Readonly<Record<string, Offer>>,
  direct = true,
): Promise<ServiceScene> {
  const keys = [generateKeyPair(), generateKeyPair()] as const
  const relay = await startLoopbackRelay()
  const lines: string[] = []
  const roles = new Set(['role:family'])
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  const services = new Services({
    clock: systemClock,
    log,
    builtIn: new Map(),
    mayUse: (_id, allow) => allow.some(entry => entry === '*' || roles.has(entry)),
  })
  services.offered = Object.entries(offers).map(([name, { target, allow = ['*'] }]) => ({
    name,
    target: parseTarget(target) as Target,
    allow,
  }))
  const common = { relay: { port: relay.http.port }, direct } as const
  const attic = await startLoopbackPeer({
    ...common,
    key: keys[0],
    trusts: [keys[1].id],
    onStream: (stream, peer) => void services.serve(peer, stream),
  })
  const office = await startLoopbackPeer({ ...common, key: keys[1], trusts: [keys[0].id] })
  const forwards = new Forwards({
    clock: systemClock,
    log,
    peerNames: () => ['attic', 'nobody'],
    open(peer, service, signal, kind) {
      if (peer !== 'attic') return Promise.reject(new CulvertError('peer-offline', `${peer} is not there`))
      return office.peer(keys[0].id).openStream(service, signal, kind)
    },
  })
  t.teardown(async () => {
    await forwards.close()
    await office[Symbol.asyncDispose]()
    await attic[Symbol.asyncDispose]()
    await relay[Symbol.asyncDispose]()
  })
  const forward = async (kind: 'tcp' | 'udp' | 'socks5', to?: string) => {
    const port = await quietPort()
    const listen = parseAddress(`${kind}://127.0.0.1:${port}`)
    if (!listen) throw new Error('no address')
    await forwards.add({ listen, to: to === undefined ? undefined : parsePeerService(to) }, false)
    return port
  }
  return { forwards, office, attic, lines, services, roles, forward }
}

export async function startTcpService(onConnection: (socket: Socket) => void) {
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => undefined)
    onConnection(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { server, port: address.port }
}

/** A UDP service on a free loopback port. */
export async function startUdpService(
  t: ExecutionContext,
  answer: (bytes: Buffer, socket: UdpListener) => Buffer | undefined,
): Promise<UdpListener> {
  const socket = await listenUdp('127.0.0.1', 0)
  socket.receive((bytes, from) => {
    const reply = answer(bytes, socket)
    if (reply) socket.send(reply, from)
  })
  t.teardown(() => socket.close())
  return socket
}

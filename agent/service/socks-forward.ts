import type { Socket } from 'node:net'
import { asCulvertError, CulvertError } from '../../common/errors.ts'
import { resetSocket } from '../../common/platform/tcp.ts'
import type { Address } from '../config/address.ts'
import { NAME_SUFFIX } from '../config/forward-target.ts'
import type { PeerService } from '../config/name.ts'
import { join } from './join.ts'
import type { ListenContext, Listening } from './listening.ts'
import { serveLocally } from './local-server.ts'
import { resolveServiceName } from './service-name.ts'
import { associateUdp } from './socks-udp.ts'
import {
  MAX_HANDSHAKE_BYTES,
  readGreeting,
  readRequest,
  replyForError,
  SOCKS_REPLY,
  type SocksReply,
  type SocksRequest,
  socksReply,
} from './socks5.ts'

const HANDSHAKE_MS = 10_000

/** A SOCKS5 server whose clients name `SERVICE.PEER.culvert.internal`, and reach nothing else. */
export function forwardSocks(listen: Address, context: ListenContext): Promise<Listening> {
  return serveLocally(listen, (socket, gone) => {
    take(socket, gone, context).catch(() => resetSocket(socket))
  })
}

async function take(socket: Socket, gone: AbortSignal, context: ListenContext): Promise<void> {
  const request = await handshake(socket, context)
  if (!request) return
  const answer = (reply: SocksReply) => {
    if (reply === SOCKS_REPLY.succeeded) socket.write(socksReply(reply))
    else socket.end(socksReply(reply), () => socket.destroy())
  }
  if (request.command === 'other') {
    answer(SOCKS_REPLY.commandUnknown)
    return
  }
  if (request.command === 'udp-associate') {
    await associateUdp(socket, gone, context)
    return
  }
  if (request.domain === undefined) {
    answer(SOCKS_REPLY.addressUnknown)
    return
  }
  if (!isOurs(request.domain)) {
    answer(SOCKS_REPLY.notAllowed)
    return
  }
  const to = resolveServiceName(request.domain, context.peerNames())
  if (!to) {
    answer(SOCKS_REPLY.hostUnreachable)
    return
  }
  await connect(socket, gone, to, context, answer)
}

async function connect(
  socket: Socket,
  gone: AbortSignal,
  to: PeerService,
  context: ListenContext,
  answer: (reply: SocksReply) => void,
): Promise<void> {
  try {
    const stream = await context.open(to.peer, to.service, gone, 'bytes')
    const leave = () => stream.reset('aborted', 'the local connection was closed')
    gone.addEventListener('abort', leave, { once: true })
    if (gone.aborted) leave()
    await stream.accepted()
    gone.removeEventListener('abort', leave)
    answer(SOCKS_REPLY.succeeded)
    stream.once('error', error => context.complain(to, asCulvertError(error, 'internal', 'forwarding failed')))
    join(stream, socket)
    socket.resume()
  } catch (thrown) {
    if (gone.aborted) return
    const error = asCulvertError(thrown, 'internal', 'forwarding failed')
    context.complain(to, error)
    answer(replyForError(error.code))
  }
}

function isOurs(domain: string): boolean {
  return domain.toLowerCase().replace(/\.$/, '').endsWith(NAME_SUFFIX)
}

/** Method selection and request; undefined when the client went away or could not be served. Throws at nonsense. */
function handshake(socket: Socket, { clock }: ListenContext): Promise<SocksRequest | undefined> {
  return new Promise((resolve, reject) => {
    let held = Buffer.alloc(0)
    let greeted = false
    const settle = () => {
      timer.cancel()
      socket.pause()
      socket.off('data', onData)
      socket.off('end', onGone)
      socket.off('close', onGone)
    }
    const onGone = () => {
      settle()
      socket.destroy()
      resolve(undefined)
    }
    const timer = clock.after(HANDSHAKE_MS, onGone)
    const onData = (chunk: Buffer) => {
      try {
        held = Buffer.concat([held, chunk])
        if (!greeted) {
          const greeting = readGreeting(held)
          if (!greeting) return
          greeted = true
          held = held.subarray(greeting.length)
          if (!greeting.value.ok) {
            settle()
            socket.end(greeting.value.answer, () => socket.destroy())
            resolve(undefined)
            return
          }
          socket.write(greeting.value.answer)
        }
        const request = readRequest(held)
        if (!request) {
          if (held.length > MAX_HANDSHAKE_BYTES) throw new CulvertError('wire-malformed', 'an endless SOCKS5 request')
          return
        }
        settle()
        const rest = held.subarray(request.length)
        if (rest.length > 0) socket.unshift(rest)
        resolve(request.value)
      } catch (thrown) {
        settle()
        reject(thrown)
      }
    }
    socket.on('data', onData)
    socket.once('end', onGone)
    socket.once('close', onGone)
    socket.resume()
  })
}

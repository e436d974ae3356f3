import type { Socket } from 'node:net'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import { listenTcp } from '../../common/platform/tcp.ts'
import { AddressCounts, addressKey } from '../../common/wire/address-key.ts'
import { addressScope } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { GuessGate } from './guess-gate.ts'
import { isKnockFor, readKnock } from './knock.ts'
import type { Path } from './path.ts'
import type { Sealer } from './seal.ts'
import { endsOf } from './tcp-path.ts'

/** Connections that have not yet proven who they are, in all and from one address. */
export const MAX_UNPROVEN = 64
const MAX_UNPROVEN_PER_ADDRESS = 16

export interface PathListenerOptions {
  readonly port: number
  readonly ownId: PeerId
  readonly sealer: Sealer
  readonly clock: Clock
  readonly log: Log
  readonly isTrusted: (peer: PeerId) => boolean
  readonly onPath: (path: Path) => void
  /** What to say to who sends this instead of a knock; undefined: nothing. Whoever it is, the connection is closed. */
  readonly answerToProbe?: (bytes: Uint8Array) => Uint8Array | undefined
}

export interface PathListener {
  readonly port: number
  close(): Promise<void>
}

/** Accepts direct TCP paths. Whoever does not know our id is closed in silence; whoever we do not trust, after TLS. */
export async function listenForPaths(options: PathListenerOptions): Promise<PathListener> {
  const { ownId, sealer, clock, log, isTrusted, onPath, answerToProbe } = options
  const closing = new AbortController()
  const mayLog = createRateGate(clock, 60_000)
  const perAddress = new AddressCounts()
  const guesses = new GuessGate()
  /** Not yet proven, the oldest first. */
  const sockets = new Set<Socket>()

  const prove = async (socket: Socket, address: string) => {
    try {
      const knock = await readKnock(socket, clock)
      if (!knock || !isKnockFor(ownId, knock)) {
        const answer = knock && answerToProbe?.(knock)
        if (answer) socket.end(answer, () => socket.destroy())
        else socket.destroy()
        return
      }
      const { peer, stream } = await sealer.seal(socket, { role: 'server', accept: isTrusted, signal: closing.signal })
      onPath({ kind: 'tcp', transport: 'tcp', how: guessHow(address), peer, stream, ...endsOf(socket) })
    } catch (thrown) {
      socket.destroy()
      // A proof of nobody costs us as much as one of a peer.
      if (thrown instanceof CulvertError && thrown.code === 'not-authorized') {
        guesses.failed(addressKey(address), clock.now())
      }
      if (mayLog(address)) log.warn('refused a connection', { from: address, reason: reasonOf(thrown) })
    }
  }

  const listener = await listenTcp({
    port: options.port,
    onConnection(socket) {
      const address = socket.remoteAddress ?? ''
      const key = addressKey(address)
      if (!guesses.mayTry(key, clock.now()) || !perAddress.add(key, MAX_UNPROVEN_PER_ADDRESS)) {
        socket.destroy()
        return
      }
      // A peer of ours proves itself in two round trips, so who has been here longest is the least likely to be one.
      const [oldest] = sockets
      if (oldest && sockets.size >= MAX_UNPROVEN) oldest.destroy()
      sockets.add(socket)
      void prove(socket, address).finally(() => {
        sockets.delete(socket)
        perAddress.remove(key)
      })
    },
  })
  return {
    port: listener.local.port,
    close() {
      closing.abort()
      for (const socket of sockets) socket.destroy()
      return listener.close()
    },
  }
}

/** Until the peer's hello says how it came. */
function guessHow(address: string): Path['how'] {
  if (address.includes(':') && !address.startsWith('::ffff:')) return 'ipv6'
  return addressScope(address) === 'public' ? 'public' : 'lan'
}

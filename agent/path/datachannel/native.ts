import type { DataChannel, PeerConnection } from 'node-datachannel'
import { CulvertError, reasonOf } from '../../../common/errors.ts'
import type { Endpoint } from '../../../common/wire/endpoint.ts'
import { MAX_MESSAGE_BYTES } from './ice-description.ts'

/**
 * The one door to node-datachannel. Its native callbacks abort the process when JavaScript throws inside them, its
 * objects throw when used after their end, and they end when nobody refers to them any more; none of that passes here.
 */
export interface NativeOptions {
  /** At most one is asked: the library picks one at random from several. */
  readonly stunServer: Endpoint | undefined
  /** A fixed UDP port, shared by all connections that name it; undefined = a socket of its own on any port. */
  readonly port: number | undefined
  readonly bindAddress: string | undefined
  readonly mtu: number
}

/** Called on the JavaScript thread, never after `close`. */
export interface NativeEvents {
  description(sdp: string): void
  candidate(line: string): void
  /** ICE found a pair that answers; DTLS and SCTP follow. */
  checked(): void
  /** The one channel of this connection can carry messages both ways. */
  open(channel: NativeChannel): void
  text(text: string): void
  bytes(bytes: Buffer): void
  /** Less is buffered than the threshold given to `waitForLow`. */
  low(): void
  /** The connection has ended, by the peer, the network or a fault. Comes once. */
  down(reason: string): void
}

/** The sending half of the open channel. Nothing here throws; `false` means that the channel no longer takes anything. */
export interface NativeChannel {
  sendText(text: string): boolean
  sendBytes(bytes: Uint8Array): boolean
  /** Bytes that wait for room in SCTP's own buffer of 1 MiB. */
  buffered(): number
}

export interface NativeConnection {
  /** Makes the channel, which makes the offer. Throws `port-in-use` when no socket could be had. */
  offer(): void
  /** Gives the peer's description; an offer makes the answer. Throws `port-in-use` or `wire-malformed`. */
  setRemote(kind: 'offer' | 'answer', sdp: string): void
  /** Not before `setRemote`: libdatachannel may abort on a candidate without a description. */
  addCandidate(line: string): void
  /** The pair in use, once open. */
  pair(): { readonly local: Endpoint; readonly remote: Endpoint } | undefined
  close(): void
}

export type CreateConnection = (options: NativeOptions, events: NativeEvents) => NativeConnection

type Library = typeof import('node-datachannel')

let library: Library | undefined
/** Holds every open connection: the native side closes one that is garbage-collected. */
const connections = new Set<Connection>()

/**
 * Holds every channel until the library has said that it is closed: it keeps a list of them, does not take one off that
 * is garbage-collected before, and crashes over it in `cleanup`.
 */
const channels = new Set<DataChannel>()

/** Keeps a channel for as long as the library needs it; `onClosed` must not throw. */
function hold(channel: DataChannel, onClosed: () => void): void {
  channels.add(channel)
  channel.onClosed(() => {
    // The library still uses it when this returns.
    setImmediate(() => channels.delete(channel))
    onClosed()
  })
}

/** So long its threads go on without a connection: one of them wakes a hundred times a second, whatever happens. */
const REST_AFTER_MS = 5_000
let rest: NodeJS.Timeout | undefined

function restLater(): void {
  clearTimeout(rest)
  rest = setTimeout(() => {
    if (!stopIdleNative()) restLater()
  }, REST_AFTER_MS)
  rest.unref()
}

/**
 * Stops the library's threads if nothing is open; false if something is. Takes some milliseconds; the library starts
 * them again for the next connection.
 */
export function stopIdleNative(): boolean {
  if (connections.size > 0 || channels.size > 0) return false
  try {
    library?.cleanup()
  } catch {
    // The threads did not stop in time; the next connection uses those that are left.
  }
  return true
}

/** Loads the native library once; rejects with `peer-unreachable` where there is no build of it for this machine. */
export async function loadNative(): Promise<CreateConnection> {
  try {
    library ??= await import('node-datachannel')
  } catch (cause) {
    const machine = `${process.platform}-${process.arch}`
    throw new CulvertError('peer-unreachable', `no node-datachannel for ${machine}: ${reasonOf(cause)}`, { cause })
  }
  const { PeerConnection } = library
  return (options, events) => new Connection(PeerConnection, options, events)
}

/** Buffered bytes below which the channel asks for more. */
const LOW_WATER_BYTES = 128 * 1024

const LABEL = 'culvert'

class Connection implements NativeConnection {
  readonly #events: NativeEvents
  readonly #native: PeerConnection
  #channel: DataChannel | undefined
  #opened = false
  #closed = false

  constructor(Native: Library['PeerConnection'], options: NativeOptions, events: NativeEvents) {
    this.#events = events
    const { stunServer, port, bindAddress, mtu } = options
    this.#native = new Native('culvert', {
      // An object, because an IPv6 address in a URL is refused.
      iceServers: stunServer ? [{ hostname: stunServer.address, port: stunServer.port }] : [],
      mtu,
      maxMessageSize: MAX_MESSAGE_BYTES,
      ...(port === undefined ? {} : { portRangeBegin: port, portRangeEnd: port, enableIceUdpMux: true }),
      ...(bindAddress === undefined ? {} : { bindAddress }),
    })
    connections.add(this)
    clearTimeout(rest)
    // Without this callback the native object is never freed.
    this.#native.onStateChange(
      this.#guard(state => {
        if (state === 'failed' || state === 'disconnected' || state === 'closed') this.#fail(`connection ${state}`)
      }),
    )
    this.#native.onIceStateChange(
      this.#guard(state => {
        if (state === 'connected' || state === 'completed') events.checked()
      }),
    )
    this.#native.onLocalDescription(this.#guard(sdp => events.description(sdp)))
    this.#native.onLocalCandidate(this.#guard(line => events.candidate(line)))
    // Not silenced by `close`: a channel that nobody holds is a crash to come.
    this.#native.onDataChannel(channel => {
      if (this.#closed || this.#channel) this.#refuse(channel)
      else this.#guard(() => this.#adopt(channel))()
    })
  }

  offer(): void {
    try {
      this.#adopt(this.#native.createDataChannel(LABEL))
    } catch (cause) {
      throw new CulvertError('port-in-use', `no UDP socket for the data channel: ${reasonOf(cause)}`, { cause })
    }
  }

  setRemote(kind: 'offer' | 'answer', sdp: string): void {
    try {
      this.#native.setRemoteDescription(sdp, kind)
    } catch (cause) {
      const reason = reasonOf(cause)
      const code = reason.includes('gather') || reason.includes('ICE agent') ? 'port-in-use' : 'wire-malformed'
      throw new CulvertError(code, `the ${kind} was not taken: ${reason}`, { cause })
    }
  }

  addCandidate(line: string): void {
    if (this.#closed) return
    try {
      this.#native.addRemoteCandidate(line, '0')
    } catch (cause) {
      throw new CulvertError('wire-malformed', `a candidate was not taken: ${reasonOf(cause)}`, { cause })
    }
  }

  pair(): { readonly local: Endpoint; readonly remote: Endpoint } | undefined {
    if (this.#closed) return undefined
    try {
      const pair = this.#native.getSelectedCandidatePair()
      if (!pair) return undefined
      const { local, remote } = pair
      return {
        local: { address: local.address, port: local.port },
        remote: { address: remote.address, port: remote.port },
      }
    } catch {
      return undefined
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // Messages that wait for the event loop are leaked by the library when it closes; one turn takes them off first.
    setImmediate(() => this.closeNow())
  }

  closeNow(): void {
    this.#closed = true
    if (!connections.delete(this)) return
    if (connections.size === 0) restLater()
    try {
      // Closes the channel too. Closing that by itself first would race with messages that are being delivered.
      this.#native.close()
    } catch {
      // It was gone already.
    }
  }

  #adopt(channel: DataChannel): void {
    this.#channel = channel
    hold(
      channel,
      this.#guard(() => this.#fail('the channel was closed')),
    )
    channel.onError(this.#guard(reason => this.#fail(`channel error: ${reason}`)))
    channel.setBufferedAmountLowThreshold(LOW_WATER_BYTES)
    channel.onBufferedAmountLow(this.#guard(() => this.#events.low()))
    channel.onOpen(this.#guard(() => this.#open(channel)))
    channel.onMessage(
      this.#guard(message => {
        // A message can be here before the word that the channel is open.
        this.#open(channel)
        if (this.#closed) return
        if (typeof message === 'string') this.#events.text(message)
        else this.#events.bytes(Buffer.isBuffer(message) ? message : Buffer.from(message))
      }),
    )
    if (channel.isOpen()) this.#open(channel)
  }

  #refuse(channel: DataChannel): void {
    try {
      hold(channel, () => undefined)
      // Its messages are taken and dropped: a full queue of a channel would block a native thread for good.
      channel.onMessage(() => undefined)
    } catch (thrown) {
      this.#fail(reasonOf(thrown))
    }
    this.#fail('the peer opened a second channel')
  }

  #open(channel: DataChannel): void {
    if (this.#opened || this.#closed) return
    this.#opened = true
    const attempt = (send: () => boolean): boolean => {
      if (this.#closed) return false
      try {
        if (!channel.isOpen()) return false
        // The result only tells whether the message was sent at once or had to be buffered.
        send()
        return true
      } catch {
        return false
      }
    }
    this.#events.open({
      sendText: text => attempt(() => channel.sendMessage(text)),
      sendBytes: bytes => attempt(() => channel.sendMessageBinary(bytes)),
      buffered: () => {
        try {
          return this.#closed ? 0 : channel.bufferedAmount()
        } catch {
          return 0
        }
      },
    })
  }

  /** Makes a callback that the library may call: silent after `close`, and an exception ends the connection only. */
  #guard<A extends readonly unknown[]>(run: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (this.#closed) return
      try {
        run(...args)
      } catch (thrown) {
        this.#fail(reasonOf(thrown))
      }
    }
  }

  #fail(reason: string): void {
    if (this.#closed) return
    this.close()
    try {
      this.#events.down(reason)
    } catch {
      // Whatever went wrong on our side, this connection is over; an exception here would abort the process.
    }
  }
}

/**
 * Closes every connection and stops the library's threads, so that the process can exit. Blocks for some milliseconds;
 * the library starts its threads again if a connection is made afterwards.
 */
export function closeAllNative(): void {
  for (const connection of [...connections]) connection.closeNow()
  try {
    library?.cleanup()
  } catch {
    // The threads did not stop in time; there is nothing left that could be lost.
  }
}

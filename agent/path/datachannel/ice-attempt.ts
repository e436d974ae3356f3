import { asCulvertError, CulvertError, reasonOf } from '../../../common/errors.ts'
import type { Timer } from '../../../common/platform/clock.ts'
import { listInterfaceAddresses } from '../../../common/platform/network-interfaces.ts'
import { type Endpoint, formatEndpoint } from '../../../common/wire/endpoint.ts'
import type { IceSignal } from '../../../common/wire/session-frame.ts'
import type { AttemptStage, DatachannelAttempt, DatachannelOptions, DatachannelPath } from './attempt.ts'
import { ByteStream } from './byte-stream.ts'
import { CandidateExchange } from './candidate-exchange.ts'
import { howOf, localOf } from './candidate-how.ts'
import { chooseHandshake, guessFiltered } from './handshake-role.ts'
import { formatCandidate, type IceCandidate, mappedCandidate } from './ice-candidate.ts'
import { formatDescription, parseDescription } from './ice-description.ts'
import {
  type CreateConnection,
  loadNative,
  type NativeChannel,
  type NativeConnection,
  type NativeEvents,
} from './native.ts'
import { claimPort, isPortClaimed, mayUsePort, type PortClaim } from './udp-port.ts'

const TIMEOUT_MS = 3_000

/**
 * Every link that carries IPv6 carries 1280, and so does nearly every tunnel; 1450 would be a tenth faster, but packets
 * leave with DF set, and a home line of 1,400 would then swallow them all.
 */
const MTU = 1280

const MAX_REASON_LENGTH = 200

/** One attempt and, when it succeeds, the connection that it made. Everything here ends in `#end`, once. */
export class IceAttempt implements DatachannelAttempt {
  readonly done: Promise<DatachannelPath>
  readonly #options: DatachannelOptions
  readonly #onEnd: () => void
  readonly #settle = Promise.withResolvers<DatachannelPath>()
  readonly #onAbort = () => this.abort(this.#options.signal.reason)
  readonly #bindAddress: string | undefined
  readonly #loopback: boolean
  readonly #candidates: CandidateExchange
  #stage: AttemptStage = 'signalling'
  #ended = false
  #timer: Timer | undefined
  #create: CreateConnection | undefined
  #native: NativeConnection | undefined
  #claim: PortClaim | undefined
  /** The offer that came, as the library will get it. */
  #offer: string | undefined
  #peerMapped = false
  #stream: ByteStream | undefined

  constructor(options: DatachannelOptions, onEnd: () => void) {
    this.#options = options
    this.#onEnd = onEnd
    this.done = this.#settle.promise
    // The caller may look at `done` later than it rejects.
    this.done.catch(() => undefined)
    // Loopback addresses are no candidates of their own accord: on a host that has nothing else, nothing would connect.
    const onlyLoopback = listInterfaceAddresses().every(address => address.loopback)
    this.#bindAddress = options.bindAddress ?? (onlyLoopback ? '127.0.0.1' : undefined)
    this.#loopback = this.#bindAddress?.startsWith('127.') ?? false
    this.#candidates = new CandidateExchange({ ...options, loopback: this.#loopback })
  }

  get stage(): AttemptStage {
    return this.#stage
  }

  start(): void {
    const { signal } = this.#options
    if (signal.aborted) {
      this.#onAbort()
      return
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#enter('signalling')
    loadNative().then(
      create => this.#guard(() => this.#begin(create)),
      thrown => this.#fail(asCulvertError(thrown, 'peer-unreachable', 'no data channel')),
    )
  }

  receive(signal: IceSignal): void {
    if (this.#ended || this.#stage === 'open') return
    this.#guard(() => this.#receive(signal))
  }

  abort(reason?: unknown): void {
    const why = reason === undefined ? '' : `: ${reasonOf(reason)}`
    this.#fail(new CulvertError('aborted', `the data channel was aborted${why}`, { cause: reason }))
  }

  /** Ends it without telling anybody: for the end of the process. */
  close(): void {
    this.#end(new CulvertError('aborted', 'culvert is stopping'), false)
  }

  #receive(signal: IceSignal): void {
    switch (signal.kind) {
      case 'failed': {
        const reason = signal.reason.slice(0, MAX_REASON_LENGTH)
        this.#end(new CulvertError('peer-unreachable', `the peer gave up: ${reason}`), false)
        return
      }
      case 'candidate': {
        const candidate = this.#candidates.addTheirLine(signal.line)
        if (candidate) this.#native?.addCandidate(formatCandidate(candidate))
        return
      }
      case 'offer':
      case 'answer':
        this.#receiveDescription(signal.kind, signal.sdp)
    }
  }

  #receiveDescription(kind: 'offer' | 'answer', sdp: string): void {
    const { role, filtered, mappedEndpoint } = this.#options
    const description = parseDescription(sdp)
    const expected = role === 'offerer' ? 'answer' : 'offer'
    const again = this.#candidates.described || this.#offer !== undefined
    if (!description || kind !== expected || again || (kind === 'answer' && description.setup === 'actpass')) {
      throw new CulvertError('wire-malformed', `the peer sent an ${kind} that is out of place or not of our form`)
    }
    this.#peerMapped = description.mapped
    const known = { ...description, mapped: false }
    if (kind === 'answer') {
      this.#describe('answer', formatDescription(known))
      return
    }
    // On loopback our candidates are with the offerer as soon as its own are with us, and our check is the first.
    const shut = this.#loopback || (filtered ?? (!mappedEndpoint && guessFiltered(listInterfaceAddresses())))
    this.#offer = formatDescription(chooseHandshake(known, shut))
    this.#acceptOffer()
  }

  #begin(create: CreateConnection): void {
    if (this.#ended) return
    this.#create = create
    if (this.#options.role === 'offerer') this.#open(native => native.offer())
    else this.#acceptOffer()
  }

  /** Both the library and the offer are needed; whichever comes second gets here. */
  #acceptOffer(): void {
    const offer = this.#offer
    if (this.#create && offer !== undefined) this.#open(native => this.#describe('offer', offer, native))
  }

  #describe(kind: 'offer' | 'answer', sdp: string, native = this.#native): void {
    if (!native) throw new CulvertError('wire-malformed', `an ${kind} before anything was offered`)
    native.setRemote(kind, sdp)
    const { give, send } = this.#candidates.describe()
    for (const candidate of give) native.addCandidate(formatCandidate(candidate))
    for (const candidate of send) this.#sendCandidate(candidate)
    if (this.#stage === 'signalling') this.#enter('checking')
  }

  /** Makes the connection on the fixed port if it may, else, or when another program has that port, on any. */
  #open(use: (native: NativeConnection) => void): void {
    const { udpPort: port, peer, mappedEndpoint, role, log } = this.#options
    const mapped = mappedEndpoint !== undefined
    if (
      port !== undefined &&
      mayUsePort({ claimed: isPortClaimed(port, peer), mapped, peerMapped: this.#peerMapped, role })
    ) {
      this.#claim = claimPort(port, peer)
      try {
        use(this.#connect(port))
        const candidate = this.#mapped && this.#candidates.addOurs(mappedCandidate(this.#mapped))
        if (candidate) this.#sendCandidate(candidate)
        return
      } catch (thrown) {
        this.#drop()
        if (!(thrown instanceof CulvertError) || thrown.code !== 'port-in-use') throw thrown
        log.warn('the UDP port is not free, so this data channel uses another', { port })
      }
    }
    use(this.#connect(undefined))
  }

  #connect(port: number | undefined): NativeConnection {
    const create = this.#create
    if (!create) throw new CulvertError('internal', 'the data channel library is not loaded')
    const { stunServers, mtu = MTU } = this.#options
    // Over IPv6 the host candidates are what others see, so an IPv4 server tells more.
    const stunServer = stunServers.find(server => !server.address.includes(':')) ?? stunServers[0]
    this.#native = create({ stunServer, port, bindAddress: this.#bindAddress, mtu }, this.#events())
    return this.#native
  }

  #events(): NativeEvents {
    return {
      description: sdp => this.#sendDescription(sdp),
      candidate: line => {
        const candidate = this.#candidates.addOurLine(line)
        if (candidate) this.#sendCandidate(candidate)
      },
      checked: () => {
        if (this.#stage === 'checking') this.#enter('securing')
      },
      open: channel => this.#probe(channel),
      text: text => this.#stream?.onText(text),
      bytes: bytes => this.#stream?.onBytes(bytes),
      low: () => this.#stream?.onLow(),
      down: reason => {
        if (this.#stage === 'open') this.#stream?.onDown(reason)
        else this.#fail(new CulvertError('peer-unreachable', `the data channel failed while ${this.#stage}: ${reason}`))
      },
    }
  }

  /** Our mapping, where this connection is on the mapped port. */
  get #mapped(): Endpoint | undefined {
    return this.#claim ? this.#options.mappedEndpoint : undefined
  }

  #sendDescription(sdp: string): void {
    const description = parseDescription(sdp)
    if (!description) throw new CulvertError('internal', 'libdatachannel made a description that we cannot read')
    const kind = this.#options.role === 'offerer' ? 'offer' : 'answer'
    this.#options.send({ kind, sdp: formatDescription({ ...description, mapped: this.#mapped !== undefined }) })
  }

  #sendCandidate(candidate: IceCandidate): void {
    this.#options.send({ kind: 'candidate', line: formatCandidate(candidate), mid: '0' })
  }

  #probe(channel: NativeChannel): void {
    this.#enter('probing')
    const stream = new ByteStream({
      channel,
      clock: this.#options.clock,
      remote: this.#native?.pair()?.remote,
      onHello: outside => this.#succeed(stream, outside),
      onDestroy: error => this.#end(asCulvertError(error, 'peer-unreachable', 'the data channel ended'), true),
    })
    // Before the path is handed over nobody else listens, and the error reaches the caller through `done`.
    stream.on('error', () => undefined)
    this.#stream = stream
  }

  #succeed(stream: ByteStream, outside: Endpoint | undefined): void {
    const pair = this.#native?.pair()
    if (!pair) throw new CulvertError('peer-unreachable', 'the data channel closed as it opened')
    const { hosts, theirs } = this.#candidates
    const how = howOf({ remote: pair.remote, outside, mapped: this.#mapped, localHosts: hosts, theirs })
    this.#timer?.cancel()
    this.#stage = 'open'
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    this.#options.log.debug('data channel open', { how, remote: formatEndpoint(pair.remote) })
    this.#settle.resolve({
      stream,
      local: localOf(pair, hosts),
      remote: pair.remote,
      how,
      close: () => stream.destroy(),
      onDown: listener => {
        if (stream.closed) queueMicrotask(listener)
        else stream.once('close', listener)
      },
    })
  }

  #enter(stage: AttemptStage): void {
    const { clock, timeoutMs = TIMEOUT_MS, mtu = MTU } = this.#options
    this.#stage = stage
    this.#timer?.cancel()
    this.#timer = clock.after(timeoutMs, () => {
      const missing = {
        signalling: 'the peer did not answer',
        checking: 'no pair of addresses answered',
        securing: 'the DTLS handshake did not end',
        probing: `packets of ${mtu} bytes did not pass`,
        open: 'it is open',
      }
      this.#fail(new CulvertError('timed-out', `no data channel: ${missing[stage]} in ${timeoutMs} ms`))
    })
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (thrown) {
      this.#fail(asCulvertError(thrown, 'wire-malformed', 'a signal of the peer was not understood'))
    }
  }

  #fail(error: CulvertError): void {
    this.#end(error, true)
  }

  /** Frees everything; `tell` lets the peer start anew at once, too, instead of waiting for its timer. */
  #end(error: CulvertError, tell: boolean): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer?.cancel()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    this.#drop()
    this.#onEnd()
    this.#settle.reject(error)
    const wasOpen = this.#stage === 'open'
    this.#stream?.destroy(wasOpen && tell ? error : undefined)
    if (wasOpen || !tell) return
    try {
      this.#options.send({ kind: 'failed', reason: error.message.slice(0, MAX_REASON_LENGTH) })
    } catch (thrown) {
      this.#options.log.debug('the peer could not be told that the attempt failed', { reason: reasonOf(thrown) })
    }
  }

  #drop(): void {
    this.#native?.close()
    this.#native = undefined
    this.#claim?.release()
    this.#claim = undefined
    this.#candidates.forgetOurs()
  }
}

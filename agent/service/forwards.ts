import { CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import { type Address, formatAddress } from '../config/address.ts'
import { EVERY_SERVICE } from '../config/forward-target.ts'
import type { PeerService } from '../config/name.ts'
import type { ListenContext, Listening, OpenStream } from './listening.ts'
import { forwardSocks } from './socks-forward.ts'
import { forwardStreams } from './stream-forward.ts'
import { forwardDatagrams } from './udp-forward.ts'

/** Another program may hold the port for a moment, as after a restart. */
const RETRY_MS = 5_000

export interface ForwardSpec {
  readonly listen: Address
  /** Undefined for a SOCKS5 listener, whose clients say where to. */
  readonly to: PeerService | undefined
}

export interface ForwardReport {
  readonly listen: string
  readonly to: string
  readonly state: 'listening' | 'failed' | 'starting'
  readonly problem: string | null
  /** Set when the last connection that came in led nowhere; monotonic, ms. */
  readonly lastFailure: { readonly reason: string; readonly at: number } | null
}

export interface ForwardsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly open: OpenStream
  readonly peerNames: () => readonly string[]
}

/** Local listeners, each bound to one service of one peer. */
export class Forwards {
  readonly #options: ForwardsOptions
  readonly #forwards = new Map<string, Forward>()

  constructor(options: ForwardsOptions) {
    this.#options = options
  }

  report(): readonly ForwardReport[] {
    return [...this.#forwards.values()].map(forward => forward.report())
  }

  /** Starts listening; rejects with `port-in-use` or `io` unless `keepTrying`. */
  async add(spec: ForwardSpec, keepTrying: boolean): Promise<void> {
    const key = formatAddress(spec.listen)
    if (this.#forwards.has(key)) {
      throw new CulvertError('port-in-use', `${key} is forwarded already; remove that forward first`)
    }
    const forward = new Forward(spec, this.#options)
    this.#forwards.set(key, forward)
    try {
      await forward.start()
    } catch (thrown) {
      if (keepTrying) {
        this.#options.log.error('a forward cannot listen, trying again', { listen: key, reason: reasonOf(thrown) })
        forward.startLater()
        return
      }
      this.#forwards.delete(key)
      throw thrown
    }
  }

  /** False when there is no such forward. */
  async remove(listen: string): Promise<boolean> {
    const forward = this.#forwards.get(listen)
    this.#forwards.delete(listen)
    await forward?.stop()
    return forward !== undefined
  }

  async close(): Promise<void> {
    await Promise.all([...this.#forwards.keys()].map(listen => this.remove(listen)))
  }
}

class Forward {
  readonly #spec: ForwardSpec
  readonly #options: ForwardsOptions
  readonly #context: ListenContext
  #listening: Listening | undefined
  #retry: Timer | undefined
  #problem: string | null = null
  #lastFailure: ForwardReport['lastFailure'] = null
  #stopped = false

  constructor(spec: ForwardSpec, options: ForwardsOptions) {
    this.#spec = spec
    this.#options = options
    const mayLog = createRateGate(options.clock, 10_000)
    const { clock, open, peerNames } = options
    this.#context = {
      clock,
      open: async (...wish) => {
        const stream = await open(...wish)
        // Why it was not accepted comes to whoever uses it, and from there to `complain`.
        stream.accepted().then(
          () => {
            this.#lastFailure = null
          },
          () => undefined,
        )
        return stream
      },
      peerNames,
      complain: (to, error) => {
        const name = `${to.peer}/${to.service}`
        if (error.code === 'stream-reset') return
        this.#lastFailure = { reason: spec.to ? error.message : `${name}: ${error.message}`, at: clock.now() }
        if (!mayLog(`${name} ${error.code}`)) return
        options.log.warn('a forwarded connection failed', { to: name, reason: error.message })
      },
    }
  }

  report(): ForwardReport {
    const { listen, to } = this.#spec
    return {
      listen: formatAddress(listen),
      to: to ? `${to.peer}/${to.service}` : EVERY_SERVICE,
      state: this.#listening ? 'listening' : this.#problem ? 'failed' : 'starting',
      problem: this.#problem,
      lastFailure: this.#lastFailure,
    }
  }

  async start(): Promise<void> {
    try {
      this.#listening = await this.#listen()
      this.#problem = null
      if (this.#stopped) await this.stop()
    } catch (thrown) {
      this.#problem = reasonOf(thrown)
      throw thrown
    }
  }

  startLater(): void {
    if (this.#stopped) return
    this.#retry = this.#options.clock.after(RETRY_MS, () => {
      this.start().catch(() => this.startLater())
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#retry?.cancel()
    const listening = this.#listening
    this.#listening = undefined
    await listening?.close()
  }

  #listen(): Promise<Listening> {
    const { listen, to } = this.#spec
    if (!to) return forwardSocks(listen, this.#context)
    return listen.kind === 'udp'
      ? forwardDatagrams(listen, to, this.#context)
      : forwardStreams(listen, to, this.#context)
  }
}

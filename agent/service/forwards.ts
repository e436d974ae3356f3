import { createServer, type Server, type Socket } from 'node:net'
import { asCulvertError, CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import { resetSocket } from '../../common/platform/tcp.ts'
import { listenOnSocketFile } from '../../common/platform/unix-socket.ts'
import { type Address, formatAddress } from '../config/address.ts'
import type { SessionStream } from '../session/stream.ts'
import { join } from './join.ts'

/** Another program may hold the port for a moment, as after a restart. */
const RETRY_MS = 5_000
/** Local connections that wait for a path or use one, per forward. */
const MAX_CONNECTIONS = 1024

export interface ForwardSpec {
  readonly listen: Address
  readonly peer: string
  readonly service: string
}

export interface ForwardReport {
  readonly listen: string
  readonly to: string
  readonly state: 'listening' | 'failed' | 'starting'
  readonly problem: string | null
}

export interface ForwardsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly open: (peer: string, service: string, signal: AbortSignal) => Promise<SessionStream>
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
  readonly #mayLog: (key: string) => boolean
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #retry: Timer | undefined
  #problem: string | null = null
  #stopped = false

  constructor(spec: ForwardSpec, options: ForwardsOptions) {
    this.#spec = spec
    this.#options = options
    this.#mayLog = createRateGate(options.clock, 10_000)
  }

  report(): ForwardReport {
    return {
      listen: formatAddress(this.#spec.listen),
      to: `${this.#spec.peer}/${this.#spec.service}`,
      state: this.#server ? 'listening' : this.#problem ? 'failed' : 'starting',
      problem: this.#problem,
    }
  }

  async start(): Promise<void> {
    try {
      this.#server = await this.#listen()
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
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (server) await new Promise<void>(done => server.close(() => done()))
  }

  async #listen(): Promise<Server> {
    const { listen } = this.#spec
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, socket => {
      void this.#take(socket)
    })
    try {
      if (listen.kind === 'unix') await listenOnSocketFile(server, listen.path)
      else await listenOnPort(server, listen.host, listen.port)
    } catch (cause) {
      const code = systemCodeOf(cause) === 'EADDRINUSE' ? 'port-in-use' : 'io'
      throw asCulvertError(cause, code, `cannot listen on ${formatAddress(listen)}`)
    }
    server.on('error', () => undefined)
    return server
  }

  async #take(socket: Socket): Promise<void> {
    socket.on('error', () => undefined)
    if (this.#sockets.size >= MAX_CONNECTIONS) {
      resetSocket(socket)
      return
    }
    this.#sockets.add(socket)
    const gone = new AbortController()
    socket.once('close', () => {
      this.#sockets.delete(socket)
      gone.abort()
    })
    const { peer, service } = this.#spec
    try {
      const stream = await this.#options.open(peer, service, gone.signal)
      if (socket.destroyed) {
        stream.reset('aborted', 'the local connection was closed')
        return
      }
      stream.once('error', error => this.#complain(error))
      join(stream, socket)
      socket.resume()
    } catch (thrown) {
      resetSocket(socket)
      if (!gone.signal.aborted) this.#complain(thrown)
    }
  }

  /** A local program sees a reset only, so the log says why; not once per connection. */
  #complain(thrown: unknown): void {
    const error = asCulvertError(thrown, 'internal', 'forwarding failed')
    if (error.code === 'stream-reset' || !this.#mayLog(error.code)) return
    this.#options.log.warn('a forwarded connection failed', { to: this.report().to, reason: error.message })
  }
}

function listenOnPort(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

import { connect, type Socket } from 'node:net'
import { asCulvertError, CulvertError, reasonOf } from '../../common/errors.ts'
import { type Clock, deadline, type Timer } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import { formatAddress, type Target } from '../config/address.ts'
import type { SessionStream } from '../session/stream.ts'
import { join } from './join.ts'
import { ServedFlows } from './served-flows.ts'

/** A service of this machine that takes longer to accept a connection is as good as down. */
const CONNECT_MS = 10_000

/** Changes of a network come in swarms, and each may give thousands of members other names: one look for all of them. */
const REVIEW_MS = 200

/** What is offered under one name. */
export interface Service {
  readonly name: string
  readonly target: Target
  readonly allow: readonly string[]
}

export interface ServicesOptions {
  readonly clock: Clock
  readonly log: Log
  readonly mayUse: (peer: PeerId, allow: readonly string[]) => boolean
  /** Services of the agent itself, for every peer, by names that no config can give. */
  readonly builtIn: ReadonlyMap<string, (peer: PeerId, stream: SessionStream) => Promise<void>>
}

/** The services this agent offers: who may use which, and where it runs. */
export class Services {
  readonly #options: ServicesOptions
  readonly #mayLog: (key: string) => boolean
  readonly #flows: ServedFlows
  /** By whom what is used, as long as it is. */
  readonly #uses = new Map<SessionStream, { readonly peer: PeerId; readonly name: string }>()
  #services: ReadonlyMap<string, Service> = new Map()
  #review: Timer | undefined

  constructor(options: ServicesOptions) {
    this.#options = options
    this.#mayLog = createRateGate(options.clock, 60_000)
    this.#flows = new ServedFlows(options.clock)
  }

  set offered(services: readonly Service[]) {
    this.#services = new Map(services.map(service => [service.name, service]))
    this.#cutOthers()
  }

  /** Who a peer is, or what it may, has changed: what it may not use any more is cut, soon. */
  review(): void {
    if (this.#uses.size === 0) return
    this.#review ??= this.#options.clock.after(REVIEW_MS, () => {
      this.#review = undefined
      this.#cutOthers()
    })
  }

  #cutOthers(): void {
    for (const [stream, { peer, name }] of this.#uses) {
      const service = this.#services.get(name)
      if (service && this.#options.mayUse(peer, service.allow)) continue
      stream.reset('not-authorized', `the service ${name} is not for this peer any more`)
      this.#options.log.info('cut off a service', { peer: shortPeerId(peer), service: name })
    }
  }

  list(): readonly Service[] {
    return [...this.#services.values()]
  }

  /** A member opened a stream or a flow: connect it, or say why not. */
  async serve(peer: PeerId, stream: SessionStream): Promise<void> {
    const { log, mayUse, builtIn } = this.#options
    const own = stream.kind === 'bytes' ? builtIn.get(stream.service) : undefined
    if (own) return own(peer, stream)
    const service = this.#find(stream.service)
    if (!service) {
      const what = `the peer offers no service called "${stream.service}"; its owner can add it under "services"`
      stream.reset('service-unknown', what)
      return
    }
    if (!mayUse(peer, service.allow)) {
      stream.reset(
        'not-authorized',
        `the service ${service.name} is not for this peer; its owner can add it to "allow"`,
      )
      if (this.#mayLog(`${peer} ${service.name}`)) {
        log.warn('refused a service', { peer: shortPeerId(peer), service: service.name })
      }
      return
    }
    if ((service.target.kind === 'udp') !== (stream.kind === 'datagrams')) {
      stream.reset('service-unknown', wrongKind(service))
      return
    }
    this.#uses.set(stream, { peer, name: service.name })
    stream.once('close', () => this.#uses.delete(stream))
    try {
      await this.#connect(peer, stream, service)
    } catch (thrown) {
      const error = this.#unavailable(service, thrown)
      stream.reset(error.code, error.message)
    }
  }

  async #connect(peer: PeerId, stream: SessionStream, service: Service): Promise<void> {
    const { target } = service
    if (target.kind === 'udp') {
      await this.#flows.serve(peer, stream, target, why => this.#unavailable(service, doesNotAnswer(service, why)))
      return
    }
    const local = await dialService(service, target, this.#options.clock, stream)
    stream.accept()
    join(stream, local)
  }

  /** By its name as written; else, for what comes as a host's name, in any case, when that means only one. */
  #find(name: string): Service | undefined {
    const exact = this.#services.get(name)
    if (exact) return exact
    const alike = this.list().filter(service => service.name.toLowerCase() === name.toLowerCase())
    return alike.length === 1 ? alike[0] : undefined
  }

  #unavailable(service: Service, thrown: unknown): CulvertError {
    const error = asCulvertError(thrown, 'service-unavailable', `the service ${service.name} failed`)
    if (this.#mayLog(service.name)) {
      this.#options.log.warn('a service does not answer', { service: service.name, reason: error.message })
    }
    return error
  }
}

function wrongKind({ name, target }: Service): string {
  return target.kind === 'udp'
    ? `${name} is a UDP service; use it by "culvert forward udp://127.0.0.1:PORT PEER/${name}"`
    : `${name} is no UDP service; use it by "culvert forward tcp://127.0.0.1:PORT PEER/${name}"`
}

function doesNotAnswer(service: Service, why: string, cause?: unknown): CulvertError {
  const message = `the service ${service.name} at ${formatAddress(service.target)} does not answer: ${why}`
  return new CulvertError('service-unavailable', message, { cause })
}

function dialService(
  service: Service,
  target: Exclude<Target, { readonly kind: 'udp' }>,
  clock: Clock,
  stream: SessionStream,
): Promise<Socket> {
  const gone = new AbortController()
  const limit = deadline(clock, CONNECT_MS, gone.signal)
  const leave = () => gone.abort()
  stream.once('close', leave)
  return new Promise<Socket>((resolve, reject) => {
    const common = { allowHalfOpen: true, noDelay: true } as const
    const socket =
      target.kind === 'unix'
        ? connect({ ...common, path: target.path })
        : connect({ ...common, host: target.host, port: target.port })
    const fail = (why: string, cause?: unknown) => {
      settle()
      socket.on('error', () => undefined)
      socket.destroy()
      reject(doesNotAnswer(service, why, cause))
    }
    const onError = (cause: Error) => fail(reasonOf(cause), cause)
    const onAbort = () => fail(gone.signal.aborted ? 'nobody waits any more' : `no answer in ${CONNECT_MS} ms`)
    const settle = () => {
      limit.done()
      socket.off('error', onError)
      limit.signal.removeEventListener('abort', onAbort)
      stream.off('close', leave)
    }
    socket.once('error', onError)
    limit.signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
  })
}

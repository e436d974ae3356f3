import { asCulvertError, CulvertError } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { UdxStream } from '../../common/platform/udx-stream.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  openProbe,
  PROBE_ID_BYTES,
  PROBE_NONCE_BYTES,
  type ProbeKeys,
  type ProbeMessage,
  probeKeys,
  sealProbe,
} from '../../common/wire/probe.ts'
import type { ProbeBudget } from '../nat/probe-budget.ts'
import type { UdpPort } from '../nat/udp-port.ts'
import type { UdpPorts } from '../nat/udp-ports.ts'
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import { howOfPair, localOfPair, toldHow } from '../path/udx/pair-how.ts'
import {
  type AnsweredTarget,
  addCandidates,
  checkAnswered,
  checkSent,
  giveUpTarget,
  heardFrom,
  isOver,
  nextCheck,
  nextStepMs,
  type ProbeRun,
  type ProbeTarget,
  pairToNominate,
  startProbeRun,
} from '../path/udx/probe-run.ts'
import { isNominationFull, UdxNomination } from '../path/udx/udx-nomination.ts'
import { sealUdxPath } from '../path/udx/udx-path.ts'
import type { AttemptBudget } from './attempt-budget.ts'

/** Between two packets, so that a burst does not fill the queue of a slow uplink. */
const PACE_MS = 5
/** Checks without an answer that are remembered. */
const MAX_CHECKS = 512

export interface ProbingContext {
  readonly peerId: PeerId
  /** The side with the smaller peer id nominates, and is the TLS client. */
  readonly leads: boolean
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly budget: AttemptBudget
  readonly probes: ProbeBudget
  readonly ports: UdpPorts
  readonly signal: AbortSignal
  /** The peer's candidates as last told, and ours. */
  remote(): readonly Candidate[]
  own(): readonly Candidate[]
  hasTcp(): boolean
  attach(path: Path, dialled: boolean): void
  /** What stopped a run; undefined when it made a path. */
  onOutcome(error: CulvertError | undefined): void
}

/** A path to one peer over our own UDP port: checks both ways open the NATs, one side takes a pair, and UDX runs on it. */
export class UdxProbing {
  readonly #context: ProbingContext
  #keys: ProbeKeys | undefined
  #unexpect: (() => void) | undefined
  #run: ProbeRun | undefined
  #running: PromiseWithResolvers<void> | undefined
  #timer: Timer | undefined
  readonly #checks = new Map<string, { readonly to: Endpoint; readonly sentAt: number }>()
  readonly #nomination: UdxNomination
  #nominating = false
  #beside = false

  constructor(context: ProbingContext) {
    this.#context = context
    this.#nomination = new UdxNomination({
      ...context,
      send: (message, to, port, bytes) => this.#send(message, to, port, bytes),
    })
    context.signal.addEventListener('abort', () => this.#close(), { once: true })
  }

  /** The secret that both sides of the session share; another one takes its place. */
  set secret(secret: Uint8Array) {
    if (this.#context.signal.aborted) return
    this.#unexpect?.()
    this.#keys = probeKeys(secret, this.#context.leads ? 'smaller' : 'larger')
    this.#unexpect = this.#context.ports.expectProbes(this.#keys.receive.tag, (packet, from, port) =>
      this.#receive(packet, from, port),
    )
  }

  /**
   * Looks for a way; resolves when there is a path or none was found. While it runs, a call adds new candidates. `beside`:
   * also where TCP is in use.
   */
  run(beside = false): Promise<void> {
    const { signal, clock, remote } = this.#context
    this.#beside ||= beside
    if (signal.aborted || this.#needless()) return Promise.resolve()
    const now = clock.now()
    if (this.#run && this.#running) {
      this.#run = addCandidates(this.#run, remote(), now)
    } else {
      this.#run = startProbeRun(remote(), now)
      this.#running = Promise.withResolvers()
    }
    this.#step()
    return this.#running?.promise ?? Promise.resolve()
  }

  /** Adds what the peer has told since to a run, if there is one. */
  refresh(): Promise<void> {
    return this.#run ? this.run() : Promise.resolve()
  }

  // -- sending

  #step(): void {
    this.#timer?.cancel()
    const { clock, leads, signal } = this.#context
    const now = clock.now()
    if (!this.#run || this.#nominating) return
    if (signal.aborted || this.#needless()) {
      this.#finish()
      return
    }
    if (isOver(this.#run, now)) {
      this.#finish(new CulvertError('timed-out', this.#whyNothing(this.#run)))
      return
    }
    const pair = leads ? pairToNominate(this.#run, now) : undefined
    if (pair) {
      void this.#nominate(pair)
      return
    }
    const due = nextCheck(this.#run)
    const waitMs = due && due.nextAt <= now ? this.#check(due, now) : 0
    const nextMs = nextStepMs(this.#run, leads, clock.now())
    this.#timer = clock.after(Math.max(PACE_MS, waitMs, nextMs), () => this.#step())
  }

  /** Sends one check if it may; gives how long to wait where it may not. */
  #check(target: ProbeTarget, now: number): number {
    const { ports, probes, budget, random } = this.#context
    const port = ports.portFor(target.endpoint)
    const verdict = port && this.#keys && budget.takeProbe() ? probes.take(port.local.port, target.endpoint) : 'full'
    if (verdict === 'wait') return probes.waitMs
    if (this.#run) this.#run = checkSent(this.#run, target.endpoint, now)
    if (verdict !== 'send' || !port) return 0
    const transaction = random.bytes(PROBE_ID_BYTES)
    this.#checks.set(hex(transaction), { to: target.endpoint, sentAt: now })
    if (this.#checks.size > MAX_CHECKS) {
      const oldest = this.#checks.keys().next()
      if (!oldest.done) this.#checks.delete(oldest.value)
    }
    this.#send({ kind: 'check', transaction, aimedAt: target.endpoint.port }, target.endpoint, port)
    return 0
  }

  #send(message: ProbeMessage, to: Endpoint, port: UdpPort, bytes?: number): void {
    if (this.#keys)
      port.send(sealProbe(this.#keys.send, this.#context.random.bytes(PROBE_NONCE_BYTES), message, bytes), to)
  }

  // -- receiving

  #receive(packet: Buffer, from: Endpoint, port: UdpPort): void {
    const message = this.#keys && openProbe(this.#keys.receive, packet)
    if (!message || this.#context.signal.aborted) return
    switch (message.kind) {
      case 'check':
        this.#onCheck(message.transaction, from, port)
        return
      case 'answer':
        this.#onAnswer(message, from)
        return
      case 'nominate':
        this.#onNominate(message, packet.length, from, port)
        return
      case 'nominated':
        this.#nomination.answered(message, from)
        return
      default:
        message satisfies never
    }
  }

  #onCheck(transaction: Uint8Array, from: Endpoint, port: UdpPort): void {
    const { budget, clock } = this.#context
    if (!budget.takeProbeAnswer()) return
    const { cookie } = this.#nomination
    this.#send({ kind: 'answer', transaction, cookie, seen: from }, from, port)
    if (this.#needless()) return
    if (!this.#run) {
      if (!budget.takeProbeRun()) return
      void this.run()
    }
    if (this.#run) this.#run = heardFrom(this.#run, from, clock.now())
    this.#step()
  }

  #onAnswer(message: Extract<ProbeMessage, { kind: 'answer' }>, from: Endpoint): void {
    const key = hex(message.transaction)
    const check = this.#checks.get(key)
    if (!check || !this.#run) return
    this.#checks.delete(key)
    const now = this.#context.clock.now()
    // From elsewhere it shows that the peer hears us, and where we may hear it; only a check to there proves the pair.
    if (!sameEndpoint(check.to, from)) this.#run = heardFrom(this.#run, from, now)
    else {
      const answer = { rttMs: now - check.sentAt, outside: message.seen, cookie: message.cookie }
      this.#run = checkAnswered(this.#run, from, answer, now)
    }
    this.#step()
  }

  // -- the pair

  async #nominate(pair: AnsweredTarget): Promise<void> {
    this.#nominating = true
    try {
      const port = this.#context.ports.portFor(pair.endpoint)
      if (!port) throw new CulvertError('io', 'no UDP port of this IP version')
      const stream = await this.#nomination.nominate(pair, port)
      await this.#seal(stream, pair.endpoint, port, pair)
      this.#finish()
    } catch (thrown) {
      const error = asCulvertError(thrown, 'peer-unreachable', 'UDX')
      if (this.#run) this.#run = giveUpTarget(this.#run, pair.endpoint)
      if (this.#run?.targets.some(({ answer }) => answer)) this.#context.onOutcome(error)
      else this.#finish(error)
    } finally {
      this.#nominating = false
      this.#step()
    }
  }

  #onNominate(
    message: Extract<ProbeMessage, { kind: 'nominate' }>,
    bytes: number,
    from: Endpoint,
    port: UdpPort,
  ): void {
    if (this.#context.leads || !isNominationFull(message, bytes)) return
    const fail = (thrown: unknown) => this.#context.onOutcome(asCulvertError(thrown, 'peer-unreachable', 'UDX'))
    try {
      const stream = this.#nomination.accept(message, from, port)
      if (stream) this.#seal(stream, from, port, undefined).then(() => this.#finish(), fail)
    } catch (thrown) {
      fail(thrown)
    }
  }

  async #seal(stream: UdxStream, remote: Endpoint, port: UdpPort, pair: AnsweredTarget | undefined): Promise<void> {
    const { peerId, leads, own, remote: told, attach, signal } = this.#context
    const outside = pair?.answer.outside ?? port.local
    const how = howOfPair({
      remote,
      told: toldHow(told(), remote),
      outside,
      ownTold: pair && toldHow(own(), outside),
    })
    const local = localOfPair(own(), remote, port.local)
    const role = leads ? 'client' : 'server'
    const path = await sealUdxPath({ peer: peerId, port, remote, stream, how, local, role }, this.#context)
    if (signal.aborted) path.stream.destroy()
    else attach(path, leads)
  }

  /** TCP carries the session already, and nobody wants UDX beside it. */
  #needless(): boolean {
    return !this.#beside && this.#context.hasTcp()
  }

  #finish(error?: CulvertError): void {
    this.#timer?.cancel()
    this.#run = undefined
    this.#beside = false
    this.#checks.clear()
    this.#running?.resolve()
    this.#running = undefined
    if (!this.#context.hasTcp() || !error) this.#context.onOutcome(error)
  }

  #whyNothing(run: ProbeRun): string {
    if (!this.#keys) return 'the peer makes no UDP paths'
    if (run.targets.length === 0) return 'the peer has told no UDP address'
    return run.answeredAt === undefined ? 'no pair of UDP ports answered' : 'the peer took up none of the UDP ports'
  }

  #close(): void {
    this.#unexpect?.()
    this.#unexpect = undefined
    this.#finish()
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

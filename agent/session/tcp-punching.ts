import { asCulvertError, CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { PunchSignal } from '../../common/wire/session-frame.ts'
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import { openPunchPort, type PunchPort, punchTcpPath } from '../path/tcp-punch.ts'
import type { AttemptBudget } from './attempt-budget.ts'

/** The peer has to ask a relay for its own address first, and the answer comes over the relay. */
const ANSWER_MS = 5_000

export interface PunchingContext {
  readonly peerId: PeerId
  /** One side offers, so that two attempts never cross. */
  readonly offers: boolean
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly budget: AttemptBudget
  readonly signal: AbortSignal
  stunServers(): readonly Endpoint[]
  /** The router gives each destination another TCP port: what a relay sees is not what the peer would meet. */
  hardNat(): boolean
  hasTcp(): boolean
  attach(path: Path): void
  send(attempt: number, signal: PunchSignal): void
  /** What stopped an attempt; undefined when it made a path. */
  onOutcome(error: CulvertError | undefined): void
}

/** TCP through two NATs by simultaneous open, arranged inside the session. */
export class TcpPunching {
  readonly #context: PunchingContext
  #nextAttempt: number
  #waiting: { readonly attempt: number; settle(signal: PunchSignal): void } | undefined
  #answering = false

  constructor(context: PunchingContext) {
    this.#context = context
    this.#nextAttempt = context.random.integer(1, 2 ** 31)
  }

  /** The offering side's attempt; on the other side it resolves at once. */
  async run(): Promise<void> {
    const { offers, hasTcp, hardNat } = this.#context
    if (!offers || this.#waiting || hasTcp() || hardNat()) return
    await this.#attempt(async port => {
      const attempt = this.#nextAttempt++
      this.#context.send(attempt, { kind: 'offer', outside: port.outside })
      const answer = await this.#answerTo(attempt)
      if (answer.kind !== 'answer') {
        throw new CulvertError('peer-unreachable', 'the NAT of the peer gives each destination another TCP port')
      }
      return answer.outside
    })
  }

  receive(attempt: number, signal: PunchSignal): void {
    if (signal.kind === 'offer') {
      if (!this.#context.offers) void this.#answer(attempt, signal.outside)
    } else if (this.#waiting?.attempt === attempt) {
      this.#waiting.settle(signal)
    }
  }

  async #answer(attempt: number, remote: Endpoint): Promise<void> {
    const { send, hardNat, hasTcp, budget } = this.#context
    if (this.#answering || hasTcp() || !budget.takePunchOffer()) return
    if (hardNat()) {
      send(attempt, { kind: 'decline' })
      return
    }
    this.#answering = true
    await this.#attempt(port => {
      send(attempt, { kind: 'answer', outside: port.outside })
      return Promise.resolve(remote)
    })
    this.#answering = false
  }

  /** Takes a port, learns from `agree` where to meet, and connects. */
  async #attempt(agree: (port: PunchPort) => Promise<Endpoint>): Promise<void> {
    const { peerId, offers, stunServers, attach, onOutcome, signal } = this.#context
    let port: PunchPort | undefined
    try {
      port = await openPunchPort(stunServers(), this.#context)
      if (!port) throw new CulvertError('relay-unreachable', 'no relay tells our outside TCP address')
      const remote = await agree(port)
      if (!isMeetingPlace(remote, port.outside))
        throw new CulvertError('wire-malformed', 'the peer gave no usable address')
      const role = offers ? 'client' : 'server'
      const path = await punchTcpPath(peerId, { localPort: port.localPort, remote, role }, this.#context)
      if (signal.aborted) path.stream.destroy()
      else attach(path)
      onOutcome(undefined)
    } catch (thrown) {
      onOutcome(asCulvertError(thrown, 'peer-unreachable', 'TCP simultaneous open'))
    } finally {
      port?.release()
    }
  }

  #answerTo(attempt: number): Promise<PunchSignal> {
    const { clock, signal } = this.#context
    return new Promise((resolve, reject) => {
      const end = () => {
        timer.cancel()
        signal.removeEventListener('abort', abort)
        this.#waiting = undefined
      }
      const fail = (error: CulvertError) => {
        end()
        reject(error)
      }
      const abort = () => fail(new CulvertError('aborted', 'aborted'))
      const timer = clock.after(ANSWER_MS, () =>
        fail(new CulvertError('timed-out', `the peer did not answer in ${ANSWER_MS} ms`)),
      )
      signal.addEventListener('abort', abort, { once: true })
      this.#waiting = {
        attempt,
        settle: answer => {
          end()
          resolve(answer)
        },
      }
    })
  }
}

/**
 * A peer may not point us at this machine or into our own network: where it can be met is public, or in the same kind of
 * network as our own address outside, as when the relay is on a LAN.
 */
function isMeetingPlace(remote: Endpoint, own: Endpoint): boolean {
  const scope = addressScope(remote.address)
  return scope === 'public' || (scope !== 'loopback' && scope !== 'unusable' && scope === addressScope(own.address))
}

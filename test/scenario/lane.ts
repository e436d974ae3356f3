import type { Socket } from 'node:net'
import type { PeerStatus } from '../../agent/control/status.ts'
import type { TestAgent } from './test-agent.ts'
import { RunningTransfer } from './transfer.ts'

const IDLE_STREAMS = 4
/** Little, so that what comes back soon after a disturbance was sent after it, too. */
const IN_FLIGHT_BYTES = 64 * 1024
const ANSWER_MS = 40_000
/** Back on the best path after a disturbance; while UDP is in use, the second try for TCP comes 40 s after the first path. */
const RETURN_MS = 45_000

export type PathKind = 'tcp' | 'udp' | 'relay'

/** Two agents with a transfer through an echo between them, which carries bytes each way, and some idle streams. */
export class Lane {
  readonly near: TestAgent
  readonly far: TestAgent
  readonly transfer: RunningTransfer
  readonly #idle: readonly Socket[]
  readonly #faults: string[] = []

  private constructor(near: TestAgent, far: TestAgent, transfer: RunningTransfer, idle: readonly Socket[]) {
    this.near = near
    this.far = far
    this.transfer = transfer
    this.#idle = idle
    for (const socket of idle) {
      socket.on('error', error => this.#faults.push(error.message))
      socket.on('close', () => this.#faults.push('an idle stream was closed'))
    }
  }

  static async start(near: TestAgent, far: TestAgent): Promise<Lane> {
    const open = async () => (await near.client.connect(far.name, 'echo')).socket
    const transfer = new RunningTransfer(await open(), IN_FLIGHT_BYTES)
    const idle: Socket[] = []
    for (let n = 0; n < IDLE_STREAMS; n++) idle.push(await open())
    return new Lane(near, far, transfer, idle)
  }

  /** Streams that ended before they should. */
  get faults(): readonly string[] {
    return this.#faults
  }

  /** Milliseconds until a byte that is sent from now on has come back. */
  async flowsAgain(): Promise<number> {
    const since = performance.now()
    await within(ANSWER_MS, this.transfer.fresh(), 'a byte')
    return Math.round(performance.now() - since)
  }

  /**
   * Waits for the kind of path that is the best between these two, and tells the kind that there is then: a lane whose
   * tries for TCP all failed goes on over UDP.
   */
  async settle(best: PathKind): Promise<PathKind> {
    const kindOf = ({ path }: PeerStatus) => path?.kind
    try {
      await this.near.waitForPeer(this.far.name, `over ${best}`, peer => kindOf(peer) === best, RETURN_MS)
      return best
    } catch (thrown) {
      const kind = kindOf(await this.near.peer(this.far.name))
      if (best !== 'tcp' || kind !== 'udp') throw thrown
      return kind
    }
  }

  /** Ends the transfer, asks each idle stream for an echo, and tells what does not fit. */
  async finish(): Promise<readonly string[]> {
    const { sent, received } = await within(ANSWER_MS, this.transfer.finish(), 'the end of the transfer')
    if (sent !== received) this.#faults.push('the transfer came back changed')
    for (const [n, socket] of this.#idle.entries()) {
      const text = `still there ${n}`
      socket.write(text)
      const answer = await within(ANSWER_MS, new Promise(resolve => socket.once('data', resolve)), 'an idle stream')
      if (String(answer) !== text) this.#faults.push(`an idle stream answered ${String(answer)}`)
      socket.removeAllListeners('close')
      socket.destroy()
    }
    return this.#faults
  }
}

async function within<T>(limitMs: number, work: Promise<T>, what: string): Promise<T> {
  const late = new AbortController()
  const limit = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} did not come in ${limitMs} ms`)), limitMs)
    late.signal.addEventListener('abort', () => clearTimeout(timer))
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    late.abort()
  }
}

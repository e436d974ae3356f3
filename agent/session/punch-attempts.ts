import { asCulvertError, CulvertError } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { PunchSignal, PunchWords } from '../../common/wire/punch-signal.ts'
import type { Path } from '../path/path.ts'
import { PunchDialogue, Unanswered } from './punch-dialogue.ts'

/** An attempt that is stopped closes some hundred ports; one that has not ended by then hangs, and is left alone. */
const LEAVE_MS = 3_000
const WAYS = { tcp: 'TCP', tcp6: 'TCP and IPv6', udp: 'UDP' } as const

export interface PunchAttemptsOptions {
  readonly over: PunchSignal['over']
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  attach(path: Path): void
  send(attempt: number, signal: PunchSignal): void
  /** What stopped an attempt; undefined when it made a path. */
  onOutcome(error: CulvertError | undefined): void
}

/** Two foretold ports did not meet: somebody else's flow came in between. */
export class Missed extends CulvertError {
  constructor(cause: unknown) {
    super('peer-unreachable', asCulvertError(cause, 'peer-unreachable', 'foretold ports').message)
  }
}

/** The attempts of one session over one protocol, one at a time. */
export class PunchAttempts {
  readonly #options: PunchAttemptsOptions
  #next: number
  #dialogue: PunchDialogue | undefined
  #stop: AbortController | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(options: PunchAttemptsOptions) {
    this.#options = options
    // Drawn, so that a late signal of an earlier life is never taken for one of this.
    this.#next = options.random.integer(1, 2 ** 31)
  }

  get running(): boolean {
    return this.#dialogue !== undefined
  }

  /** Hands the peer's words to the attempt that they belong to; false when it does not run. */
  receive(attempt: number, words: PunchWords): boolean {
    if (this.#dialogue?.attempt !== attempt) return false
    this.#dialogue.receive(words)
    return true
  }

  /** Ends the attempt that runs: what it looks for is there. */
  stop(): void {
    this.#stop?.abort()
  }

  /** Begins one of our own. */
  begin(talk: (dialogue: PunchDialogue) => Promise<Path>): Promise<boolean> {
    return this.join(this.#next++, talk)
  }

  /** Runs an attempt to its end, and ends the one before: the peer has. True when another one may do better. */
  async join(number: number, talk: (dialogue: PunchDialogue) => Promise<Path>): Promise<boolean> {
    const { over, clock, signal, send, attach, onOutcome } = this.#options
    this.#stop?.abort()
    const before = this.#ended
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#ended = promise
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    const dialogue = new PunchDialogue(number, clock, either, words => send(number, { over, ...words }))
    this.#dialogue = dialogue
    this.#stop = stop
    try {
      // What the one before holds, as its place in the search gate, is free only when it has ended.
      await before
      if (either.aborted) throw new CulvertError('aborted', 'the attempt was aborted')
      const path = await untilLeft(talk(dialogue), either, clock)
      if (signal.aborted) path.stream.destroy()
      else attach(path)
      onOutcome(undefined)
      return false
    } catch (thrown) {
      if (!either.aborted) onOutcome(asCulvertError(thrown, 'peer-unreachable', `a way over ${WAYS[over]}`))
      return (thrown instanceof Missed || thrown instanceof Unanswered) && !signal.aborted
    } finally {
      stop.abort()
      resolve()
      if (this.#dialogue === dialogue) this.#dialogue = undefined
    }
  }
}

/** As the talk ends. After the signal's abort it is not waited for without end: the next attempt's turn depends on it. */
function untilLeft(talk: Promise<Path>, signal: AbortSignal, clock: Clock): Promise<Path> {
  const { promise, resolve, reject } = Promise.withResolvers<Path>()
  let timer: Timer | undefined
  let left = false
  const leave = () => {
    timer = clock.after(LEAVE_MS, () => {
      left = true
      reject(new CulvertError('aborted', 'the attempt was aborted'))
    })
  }
  const settle = () => {
    timer?.cancel()
    signal.removeEventListener('abort', leave)
  }
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  talk.then(
    path => {
      settle()
      if (left) path.stream.destroy()
      else resolve(path)
    },
    (thrown: unknown) => {
      settle()
      reject(thrown)
    },
  )
  return promise
}
